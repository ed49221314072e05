"""The DataModule of images in memory that all the others are: order, augmentation, normalisation, resume."""

import copy
import math
from abc import ABC, abstractmethod
from typing import Any, Self

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from datamodules.augmentations.base import Augmentation
from datamodules.augmentations.mixing import soft_targets
from datamodules.memory.images import Batch, ImageDataset, Images, opened
from datamodules.memory.loading import ImageLoader, image_loader
from datamodules.memory.normalisation import Normaliser, Statistics, checked, pixel_statistics
from datamodules.memory.order import EpochOrder, PlainOrder
from datamodules.memory.resume_state import Position, RunState
from datamodules.memory.split import stratified_split
from foundation.errors import UserError


class ImageDataModule(LightningDataModule, ABC):
    """Images in one uint8 tensor; a subclass says where they come from.

    The loaders give ``(images uint8 (B, C, H, W), targets (B,), rows (B,))``; on the device they become
    ``(images float32 (B, C, H, W), targets (B,))``, augmented when training and normalised always.

    The order of an epoch and every choice of the augmentation are functions of (seed, epoch, image); so a checkpoint
    keeps the position alone, and the same seed gives the same batches whatever ``num_workers``.

    Args:
        batch_size: Of each process, ≥ 1.
        eval_batch_size: For validation, test and prediction, ≥ 1; no result depends on it.
        num_workers: Processes that fetch batches, ≥ 0; for images in memory 0 is the fastest.
        val_share: In (0, 1): how much of every class of the training images is for validation.
        augmentation: What training batches go through; none by default.
        seed: ≥ 0, of order and augmentation. Default: the run's (``seed_everything``), else 0.
        split_seed: ≥ 0, of the validation split. Not the run's seed: runs that are compared validate on the same
            images, and none that a checkpoint was trained on is ever validated on.
        drop_last: Leave out the incomplete last training batch.
        channels_last: Memory format of the batches.
        mean: Of each channel, in [0, 1]; default: that of the data set. A checkpoint's is used when it is not given.
        std: Of each channel; see ``mean``.

    Raises:
        ValueError: If an argument is outside its range.
    """

    white: int = 255
    """Value of a white pixel; the images of files, in which it is 255, are brought to it."""

    mixable: bool = True
    """Whether targets can be mixed with one another."""

    resizable: bool = True
    """Whether targets stay right when images are made smaller."""

    endless: bool = False
    """Set where the beginning of a run is tried, whose trainer does not say how long the run is."""

    def __init__(
        self,
        batch_size: int = 128,
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
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("eval_batch_size", eval_batch_size, 1),
            ("num_workers", num_workers, 0),
            ("seed", seed or 0, 0),
            ("split_seed", split_seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name} must be ≥ {least}, got {value}.")
        if not 0 < val_share < 1:
            raise ValueError(f"val_share must be in (0, 1), got {val_share:g}.")
        if (mean is None) != (std is None):
            raise ValueError(f"mean and std must be given together, got {mean} and {std}.")
        self.batch_size, self.eval_batch_size, self.num_workers = batch_size, eval_batch_size, num_workers
        if augmentation is not None and augmentation.mixes and not self.mixable:
            raise ValueError(
                f"augmentation: {type(augmentation).__name__} mixes images with one another, which the targets of "
                f"{type(self).__name__} do not allow: MixUp and CutMix are for images with classes or labels."
            )
        if augmentation is not None and not augmentation.keeps_size and not self.resizable:
            raise ValueError(
                f"augmentation: {type(augmentation).__name__} changes the size of images, and the targets of "
                f"{type(self).__name__} would no longer fit them."
            )
        self.val_share, self.split_seed, self.drop_last = val_share, split_seed, drop_last
        self.augmentation, self.channels_last = augmentation, channels_last
        self._augmentation = augmentation  # as it is over a run of known length, once there is one
        given = checked(Statistics(tuple(mean), tuple(std))) if mean and std else None
        self._run = RunState(seed, given)
        self._normaliser: Normaliser | None = None
        self._train_loader: ImageLoader | None = None
        self.train_set: ImageDataset | None = None
        self.val_set: ImageDataset | None = None
        self.test_set: ImageDataset | None = None

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Names of the classes, by number."""

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
        """How many classes there are."""
        return len(self.class_names)

    @abstractmethod
    def training_images(self) -> Images:
        """Open the training set, of which a share becomes the validation set unless there is one."""

    @abstractmethod
    def test_images(self) -> Images:
        """Open the test set; called for ``test`` and ``predict`` alone."""

    def validation_images(self) -> Images | None:
        """Open the validation set that the data comes with, if it does."""
        return None

    def __copy__(self) -> Self:
        """Share the images and nothing that changes: a copy may be trained beside (to look for a learning rate)."""
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        twin._run = copy.copy(self._run)
        return twin

    def setup(self, stage: str) -> None:
        """Open what the stage needs; a fit forgets what an earlier one was resumed from."""
        if stage == "fit":
            self._run.forget()
            self._train_loader = None
        given = self._run.given_statistics
        if given is not None and len(given.mean) != self.channels:
            values = "1 value" if len(given.mean) == 1 else f"{len(given.mean)} values"
            raise UserError(f"mean and std have {values}, the images {self.channels} channels.")
        self.open(stage)

    def open(self, stage: str) -> None:
        """Open the test set for ``test`` and ``predict``, the training set and the validation set otherwise."""
        if stage in ("test", "predict"):
            self.test_set = ImageDataset(self.test_images())
            return
        images, validation = self.training_images(), self.validation_images()
        if validation is None:
            train, val = stratified_split(images.targets, self.val_share, self.split_seed, self.class_names)
            self.train_set, self.val_set = ImageDataset(images, train), ImageDataset(images, val)
        else:
            self.train_set, self.val_set = ImageDataset(images), ImageDataset(validation)

    @property
    def seed(self) -> int:
        """The one given, else that of the checkpoint that is resumed, else the run's, else 0."""
        return self._run.seed

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation to normalise with: those given, else the checkpoint's, else the data's."""
        return self._run.statistics(self.data_statistics)

    def data_statistics(self) -> Statistics:
        """Those of the training images; a subclass that knows them says so."""
        return pixel_statistics(self.training_images().pixels)

    def train_dataloader(self) -> ImageLoader:
        """Batches in an order of their own in each epoch, from the position of a resumed checkpoint."""
        dataset, (processes, rank), position = opened(self.train_set, "fit"), self._processes(), self._run.position
        available = len(dataset) // processes
        if self.batch_size > available:
            each = f" for each of {processes} processes" if processes > 1 else ""
            raise UserError(
                f"batch_size {self.batch_size} is larger than the training data, {available} images{each}: "
                f"set it to at most {available}."
            )
        if not position.fits(self.batch_size, processes):
            rank_zero_warn(position.misfit(self.batch_size, processes))
        resume = position.epoch, position.samples(self.batch_size, processes)
        order = EpochOrder(dataset, self.seed, processes, rank, resume)
        self._train_loader = self._loader(dataset, order, self.batch_size, self.drop_last)
        if self.augmentation is not None:
            batches = available // self.batch_size if self.drop_last else math.ceil(available / self.batch_size)
            self._augmentation = self.augmentation.over(self._epochs(batches))
        return self._train_loader

    def _epochs(self, batches: int) -> float | None:
        """Length of the run in epochs of so many batches, `None` where it has no end."""
        if self.endless:
            return math.inf
        if self.trainer is None:
            return None
        limits: list[float] = []
        if self.trainer.max_epochs not in (None, -1):
            limits.append(float(self.trainer.max_epochs))
        if self.trainer.max_steps != -1:
            limits.append(self.trainer.max_steps * self.trainer.accumulate_grad_batches / batches)
        return min(limits, default=None)

    def val_dataloader(self) -> ImageLoader:
        """Every validation image once, the classes mixed."""
        return self._plain_loader(opened(self.val_set, "fit"), "validation", mixed=True)

    def test_dataloader(self) -> ImageLoader:
        """Every test image once, the classes mixed."""
        return self._plain_loader(opened(self.test_set, "test"), "test", mixed=True)

    def predict_dataloader(self) -> ImageLoader:
        """Every test image once, as they lie."""
        return self._plain_loader(opened(self.test_set, "test"), "test", mixed=False)

    def _plain_loader(self, dataset: ImageDataset, name: str, mixed: bool) -> ImageLoader:
        processes, rank = self._processes()
        if len(dataset) < processes:
            raise UserError(
                f"{len(dataset)} {name} images cannot be shared out to {processes} processes: use fewer devices."
            )
        return self._loader(dataset, PlainOrder(dataset, processes, rank, mixed), self.eval_batch_size)

    def _loader(
        self, dataset: ImageDataset, order: EpochOrder | PlainOrder, batch_size: int, drop_last: bool = False
    ) -> ImageLoader:
        on_cuda = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return image_loader(dataset, order, batch_size, self.num_workers, on_cuda, drop_last)

    def _processes(self) -> tuple[int, int]:
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Augment when training, normalise always; on the device, the whole batch at once."""
        training = self.trainer is not None and self.trainer.training
        return self.prepare_batch(batch, training, self.trainer.current_epoch if training and self.trainer else 0)

    def prepare_batch(self, batch: Batch, training: bool, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """What the module gets from a batch of a loader; for a loop of one's own.

        Args:
            batch: As a loader gives it, on any device.
            training: Whether to augment.
            epoch: The augmentation's.

        Shape:
            images ``(B, C, H, W)`` uint8, targets ``(B,)``, rows ``(B,)`` →
            images ``(B, C, H', W')`` float32, targets ``(B,)``; mixed ones ``(B, K)`` float32.
        """
        images, targets, rows = batch
        if training and self._augmentation is not None:
            images = self._augmentation(images, rows, self.seed, epoch)
        if self._normaliser is None or self._normaliser.statistics != self.statistics:
            self._normaliser = Normaliser(self.statistics, self.channels_last)
        normal = self._normaliser(images)
        if training and self._augmentation is not None and self._augmentation.mixes:
            soft = soft_targets(targets, self.num_classes)
            return self._augmentation.mix(normal, soft, rows, self.seed, epoch)
        return normal, targets

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch, and what resuming or testing must share with this run."""
        position = self._run.position
        if self.trainer is not None and self._train_loader is not None and self._train_loader.started_epoch >= 0:
            done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
            position = Position(self._train_loader.started_epoch, done, self.batch_size, self._processes()[0])
        return self._run.state(position, self.statistics, self._split())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over position, seed and normalisation; what was given as an argument is kept, and said to differ."""
        self._run.load(state_dict, self._split())

    def _split(self) -> str:
        return "" if self.val_set is None else self.val_set.digest()
