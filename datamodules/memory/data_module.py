"""Base class of all data sources: order, split, augmentation, normalisation and resume of images held in memory."""

import copy
import math
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from datamodules.augmentations.base import Augmentation
from datamodules.augmentations.mixing import soft_targets
from datamodules.memory.followed_network import FollowsNetwork
from datamodules.memory.images import Batch, ImageDataset, Images, middle, require_open
from datamodules.memory.loading import ImageLoader, check_batch_size, run_length
from datamodules.memory.normalisation import Normaliser, Statistics, check_channels, given_statistics, pixel_statistics
from datamodules.memory.order import EpochOrder, EvaluationOrder, evaluation_order
from datamodules.memory.pruned_order import order_of_run
from datamodules.memory.pruning.choice import SampleChoice
from datamodules.memory.pruning.method import Pruning
from datamodules.memory.resident import Residence, Setting, is_on, sets_in_use
from datamodules.memory.resume_state import Position, RunState
from datamodules.memory.split import stratified_split
from datamodules.memory.steps import BatchSize, PlannedSteps
from foundation.argument_checks import require_at_least_one, require_between, require_fraction


class ImageDataModule(PlannedSteps, FollowsNetwork, ABC):
    """Base class of data sources whose images are held in memory as one uint8 tensor.

    To write a data source, subclass it and define:

    - ``class_names``, ``image_size`` (height, width) and ``channels`` (1 for grey, 3 for colour), as class attributes
      or properties;
    - ``training_images()`` and ``test_images()``, which return :class:`~datamodules.memory.images.Images`.

    Override only where you need it:

    - ``prepare_data()`` downloads or converts; Lightning calls it in one process of each machine;
    - ``validation_images()`` returns a validation set; without one, ``val_share`` of each class of the training images
      is split off, which ``split_rows()`` may do in another way;
    - ``data_statistics()`` returns a known mean and standard deviation, instead of those of the training images;
    - ``prepare_batch()`` turns a loaded batch into what the LightningModule gets.

    A constructor of your own passes the arguments below on: ``def __init__(self, root: str, **kwargs: Any)``.

    The loaders yield ``(images uint8 (B, C, H, W), targets (B,), rows (B,))``. On the device these become
    ``(images float32 (B, C, H, W), targets (B,))``: augmented in training, and always normalised.

    The order of an epoch and the random choices of the augmentation are functions of (seed, epoch, image). So a
    checkpoint stores only the position in the epoch, and ``num_workers`` does not change the batches.

    Args:
        batch_size: Images per batch and process, ≥ 1; ``auto``: at most 128, for at least 20 steps an epoch.
        eval_batch_size: The same for validation, test and prediction, ≥ 1; results do not depend on it.
        num_workers: Processes that fetch batches, in [0, 512]; for images in memory 0 is fastest.
        val_share: Share of each class of the training images that is used for validation, in (0, 1).
        augmentation: Augmentation of the training batches; default: none.
        seed: Seed of order and augmentation, ≥ 0. Default: the run's (``seed_everything``), else 0.
        split_seed: Seed of the validation split, ≥ 0. It is not the run's seed, so that runs that are compared are
            validated on the same images, and no resumed run is validated on images it was trained on.
        drop_last: Leave out the last training batch if it is incomplete.
        channels_last: Memory format of the batches.
        mean: Mean of each channel, in [0, 1]. Default: the checkpoint's, else that of the data.
        std: Standard deviation of each channel, > 0, given together with ``mean``.
        device_resident: Keep the data on the device, where batches are gathered without the host: ``auto`` on a CUDA
            device, if they take at most a quarter of its free memory; ``true`` on any device; ``false`` never.
        pruning: Leave out samples of low loss in each epoch, see :class:`~datamodules.memory.pruning.method.Pruning`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> import torch
        >>> class Random(ImageDataModule):
        ...     class_names, image_size, channels = ["even", "odd"], (8, 8), 1
        ...     def training_images(self):
        ...         return Images(torch.randint(0, 256, (100, 8, 8, 1), dtype=torch.uint8), torch.arange(100) % 2)
        ...     test_images = training_images
        >>> data = Random(batch_size=10)
        >>> data.setup("fit")
        >>> len(data.train_dataloader()), len(data.val_set)
        (9, 10)
    """

    white: int = 255
    """Value of a white pixel; images read from files, in which white is 255, are scaled to it."""

    mixable: bool = True
    """Whether targets of several images can be mixed (MixUp, CutMix)."""

    resizable: bool = True  # whether targets stay right when images are resized
    masks: bool = False  # whether the targets are masks, over which augmentations must not paint

    def __init__(
        self,
        batch_size: BatchSize = "auto",
        eval_batch_size: int = 500,
        num_workers: int = 0,
        val_share: float = 0.1,
        augmentation: Augmentation | None = None,
        seed: int | None = None,
        split_seed: int = 0,
        drop_last: bool = True,
        channels_last: bool = True,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        device_resident: Setting = "auto",
        pruning: Pruning | None = None,
    ) -> None:
        super().__init__(batch_size)
        self._residence = Residence(device_resident)
        require_at_least_one(eval_batch_size=eval_batch_size)
        require_between("num_workers", num_workers, 0, 512)  # a mistyped number would bring the machine to a halt
        require_between("seed", seed or 0, 0)
        require_between("split_seed", split_seed, 0)
        require_fraction("val_share", val_share)
        if augmentation is not None:
            augmentation.check_targets(type(self).__name__, self.mixable, self.resizable, self.masks)
        self.eval_batch_size, self.num_workers = eval_batch_size, num_workers
        self.val_share, self.split_seed = val_share, split_seed
        self.augmentation, self.channels_last, self.drop_last = augmentation, channels_last, drop_last
        self._augmentation = augmentation  # the same for the length of the run, once a loader knows it
        self._run = RunState(seed, given_statistics(mean, std), SampleChoice(pruning))
        self._normaliser: Normaliser | None = None
        self._train_loader: ImageLoader | None = None
        self.train_set = self.val_set = self.test_set = None

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Names of the classes, by class number."""

    @property
    @abstractmethod
    def image_size(self) -> tuple[int, int]:
        """Height and width of an image."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """1 for grey, 3 for colour."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @abstractmethod
    def training_images(self) -> Images:
        """Return the training set, of which a share becomes the validation set if there is no other."""

    @abstractmethod
    def test_images(self) -> Images:
        """Return the test set; called only for ``test`` and ``predict``."""

    def validation_images(self) -> Images | None:
        """Return the validation set that the data comes with, or None."""
        return None

    def split_rows(self, targets: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
        """Split rows in two, ``share`` of them (of each class) in the second set; both ascending."""
        return stratified_split(targets, share, seed, self.class_names)

    def data_statistics(self) -> Statistics:
        """Compute mean and standard deviation of the training images."""
        return pixel_statistics(self.training_images().pixels)

    def __copy__(self) -> Self:
        """Copy all that changes and share the images, so that a copy may be trained (to search a learning rate)."""
        copied = self.__class__.__new__(self.__class__)
        copied.__dict__.update(self.__dict__, _run=copy.copy(self._run))
        return copied

    def setup(self, stage: str) -> None:
        """Open the data sets of the stage; ``fit`` forgets what was loaded from an earlier checkpoint."""
        if stage == "fit":
            self._run.forget()
            self._train_loader = None
        self.follow_trainer()
        check_channels(self._run.given_statistics, self.channels)
        self.open(stage)

    def open(self, stage: str) -> None:
        """Open the test set for ``test`` and ``predict``, otherwise the training and the validation set."""
        if stage in ("test", "predict"):
            self.test_set = ImageDataset(self.test_images())
            return
        images, validation = self.training_images(), self.validation_images()
        if validation is None:
            train, val = self.split_rows(images.targets, self.val_share, self.split_seed)
            self.train_set, self.val_set = ImageDataset(images, train), ImageDataset(images, val)
        else:
            self.train_set, self.val_set = ImageDataset(images), ImageDataset(validation)

    @property
    def seed(self) -> int:
        """The given seed, else that of the resumed checkpoint, else the run's, else 0."""
        return self._run.seed

    @property
    def sample_choice(self) -> SampleChoice:
        """Chooses the samples of an epoch, and keeps their losses."""
        return self._run.samples

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation to normalise with: the given ones, else the checkpoint's, else the data's."""
        return self._run.statistics(self.default_statistics)

    def train_dataloader(self) -> ImageLoader:
        """Load batches in a new order in each epoch, from the position of a resumed checkpoint on."""
        dataset, world = require_open(self.train_set, "fit"), self.world()
        order = order_of_run(self._run, dataset, world, self.trainer, self.batch_size, self.augmentation)
        check_batch_size(self.batch_size, order.num_samples, world[0])
        self._train_loader = self._loader(dataset, order, self.batch_size, self.drop_last)
        self.plan_epochs(len(dataset), len(self._train_loader))
        if self.augmentation is not None:
            epochs = math.inf if self.endless else run_length(self.trainer, len(self._train_loader))
            known = self.augmentation.over(epochs).for_samples(len(dataset.images.targets))
            self._augmentation = known.for_size(self.image_size)
        return self._train_loader

    def val_dataloader(self) -> ImageLoader:
        """Load every validation image once, shuffled."""
        return self._evaluation_loader(require_open(self.val_set, "fit"), "validation", shuffled=True)

    def test_dataloader(self) -> ImageLoader:
        """Load every test image once, shuffled."""
        return self._evaluation_loader(require_open(self.test_set, "test"), "test", shuffled=True)

    def predict_dataloader(self) -> ImageLoader:
        """Load every test image once, in the order of the data."""
        return self._evaluation_loader(require_open(self.test_set, "test"), "test", shuffled=False)

    def _evaluation_loader(self, dataset: ImageDataset, name: str, shuffled: bool) -> ImageLoader:
        return self._loader(dataset, evaluation_order(dataset, name, self.world(), shuffled), self.eval_batch_size)

    def _loader(
        self, dataset: ImageDataset, order: EpochOrder | EvaluationOrder, batch_size: int, drop_last: bool = False
    ) -> ImageLoader:
        device = None if self.trainer is None else self.trainer.strategy.root_device
        sets = sets_in_use(dataset, self.trainer, training=self.train_set, validation=self.val_set, test=self.test_set)
        return self._residence.loader(dataset, order, batch_size, drop_last, sets, device, self.num_workers)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device, unless it is there."""
        return batch if is_on(batch, device) else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> tuple[Tensor, ...]:
        """Augment in training, always normalise, convert to the precision; a pruned batch gets weights and rows."""
        if self.trainer is None:
            return self.prepare_batch(batch, training=False)
        training, epoch = self.trainer.training, self.trainer.current_epoch if self.trainer.training else 0
        inputs, targets = self.prepare_batch(batch, training, epoch)
        weighed = self.sample_choice.weighed(batch[2], epoch) if training else ()
        return self.trainer.precision_plugin.convert_input(inputs), targets, *weighed

    def prepare_batch(self, batch: Batch, training: bool, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Turn a loaded batch into what the LightningModule gets; call it yourself in a loop of your own.

        Args:
            batch: Batch of a loader, on any device.
            training: Whether to augment.
            epoch: Epoch of the augmentation.

        Shape:
            images ``(B, C, H, W)`` uint8, targets ``(B,)``, rows ``(B,)`` →
            images ``(B, C, H', W')`` float32, targets ``(B,)``, or ``(B, K)`` float32 if they were mixed.
        """
        images, targets, rows = batch
        augmentation = self._augmentation if training else None
        if augmentation is None or not augmentation.crops:
            images = middle(images, self.image_size)
        if augmentation is not None:
            images = augmentation(images, rows, self.seed, epoch)
        if self._normaliser is None or self._normaliser.statistics != self.statistics:
            self._normaliser = Normaliser(self.statistics, self.channels_last)
        normal = self._normaliser(images)
        if augmentation is not None and augmentation.mixes:
            targets = soft_targets(targets, self.num_classes)
            if not self.sample_choice.prunes(epoch):
                return augmentation.mix(normal, targets, rows, self.seed, epoch)
        return normal, targets

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch, and the settings that resuming or testing must share with this run."""
        position = self._run.position
        if self.trainer is not None and self._train_loader is not None and self._train_loader.started_epoch >= 0:
            done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
            position = Position(self._train_loader.started_epoch, done, self.batch_size, self.world()[0])
        return self._run.state(position, self.statistics, self._split_hash())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load position, seed and normalisation; arguments that were given stay, with a warning if they differ."""
        self._run.load(state_dict, self._split_hash())

    def _split_hash(self) -> str:
        return "" if self.val_set is None else self.val_set.digest()
