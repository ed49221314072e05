"""Progressive resizing: the pixels equal Pillow's, the sizes follow the epochs, and bad input raises."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from datamodules import Chain, CropFlip, ProgressiveResize, ShapeMasksDataModule
from foundation.errors import UserError
from foundation.trial.fit import trial_fit
from tests.datamodules.support import MadeUp, Recorder, quiet_trainer


class AnySize(Recorder):
    """Trains on images of any size."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        self._note("train", batch)
        return self.layer(torch.zeros(1, 48)).sum()  # type: ignore[no-any-return]

    def sides(self) -> list[int]:
        """Side of the images in the first batch of each training epoch."""
        seen = {epoch: images.shape[-1] for stage, epoch, images, _ in reversed(self.seen) if stage == "train"}
        return [seen[epoch] for epoch in sorted(seen)]


def fitted(resize: ProgressiveResize, **options: Any) -> AnySize:
    model = AnySize()
    quiet_trainer(**options).fit(model, MadeUp(batch_size=10, augmentation=Chain([CropFlip(1), resize])))
    return model


@pytest.mark.parametrize("size", [16, 25, 31])
def test_pixels_equal_pillow(size: int) -> None:
    photograph = np.ascontiguousarray(load_sample_image("china.jpg")[100:132, 200:232])
    expected = np.asarray(Image.fromarray(photograph).resize((size, size), Image.Resampling.BILINEAR)).astype(int)
    images = torch.from_numpy(photograph)[None].permute(0, 3, 1, 2)
    found = ProgressiveResize([size], [1.0]).over(1)(images, torch.arange(1), seed=0, epoch=0)
    assert found.dtype == torch.uint8
    assert found.is_contiguous(memory_format=torch.channels_last)
    difference = np.abs(found[0].permute(1, 2, 0).numpy().astype(int) - expected)
    assert difference.max() <= 2  # torch keeps its filter's weights in 16 bits, Pillow in 22
    assert difference.mean() < 0.25


def test_the_sizes_follow_the_share_of_the_run() -> None:
    resize = ProgressiveResize(sizes=[4, 6], until=[0.5, 0.75]).over(8)
    assert [resize.size(epoch) for epoch in range(8)] == [4] * 4 + [6] * 2 + [None] * 2


def test_a_share_that_ends_within_an_epoch_includes_the_epoch() -> None:
    resize = ProgressiveResize(sizes=[4], until=[0.5]).over(3)
    assert [resize.size(epoch) for epoch in range(3)] == [4, 4, None]


def test_the_configured_augmentation_is_not_changed() -> None:
    resize = ProgressiveResize([4], [0.5])
    assert resize.over(2).epochs == 2
    assert resize.epochs is None


def test_a_run_trains_on_small_images_and_validates_at_full_size() -> None:
    model = fitted(ProgressiveResize([2, 3], [0.5, 0.75]), max_epochs=4)
    assert model.sides() == [2, 2, 3, 4]
    assert {images.shape[-1] for stage, _, images, _ in model.seen if stage == "val"} == {4}


def test_a_run_that_ends_by_steps() -> None:
    # 90 training images are 9 batches an epoch; 9 steps of 2 batches each are 2 epochs
    model = fitted(ProgressiveResize([2], [0.5]), max_epochs=-1, max_steps=9, accumulate_grad_batches=2)
    assert model.sides() == [2, 4]


def test_a_run_without_an_end_raises() -> None:
    with pytest.raises(UserError, match=r"needs the length of the run.*set trainer\.max_epochs or"):
        fitted(ProgressiveResize([2], [0.5]), max_epochs=-1)


def test_a_private_trial_uses_the_first_size() -> None:
    model, data = AnySize(), MadeUp(batch_size=10, augmentation=ProgressiveResize([2], [0.01]))
    sides: list[int] = []

    class Look(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            sides.append(batch[0].shape[-1])
            trainer.should_stop = len(sides) == 12  # in its second epoch

    trial_fit(model, data, Look(), seed=0, devices=1, accelerator="cpu")
    assert set(sides) == {2}
    assert not data.endless


def test_a_loop_of_your_own_must_give_the_length() -> None:
    data = MadeUp(batch_size=10, augmentation=ProgressiveResize([2], [0.5]))
    data.setup("fit")
    with pytest.raises(UserError, match="this run has no end"):
        data.train_dataloader()
    with pytest.raises(UserError, match=r"call its over\(epochs\) first"):
        ProgressiveResize([2], [0.5])(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.arange(1), 0, 0)


def test_an_endless_run_keeps_the_first_size() -> None:
    resize = ProgressiveResize([2], [0.01]).over(math.inf)
    assert {resize.size(epoch) for epoch in range(100)} == {2}


@pytest.mark.parametrize(
    ("sizes", "until", "message"),
    [
        ([], [], "same length ≥ 1, got 0 and 0"),
        ([4], [0.2, 0.5], "got 1 and 2"),
        ([6, 4], [0.2, 0.5], r"sizes must be ascending and ≥ 1, got \[6, 4\]"),
        ([0], [0.2], r"≥ 1, got \[0\]"),
        ([4, 6], [0.5, 0.5], r"until must be ascending within \(0, 1\], got \[0\.5, 0\.5\]"),
        ([4], [1.5], r"got \[1\.5\]"),
        ([4], [0.0], r"got \[0\.0\]"),
    ],
)
def test_bad_arguments(sizes: list[int], until: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProgressiveResize(sizes, until)


@pytest.mark.parametrize("shape", [(8, 9), (4, 4)])
def test_images_that_are_not_square_or_too_small(shape: tuple[int, int]) -> None:
    images = torch.zeros(1, 3, *shape, dtype=torch.uint8)
    with pytest.raises(UserError, match=rf"square images to \[4\] pixels; these are {shape[0]} × {shape[1]}"):
        ProgressiveResize([4], [1.0]).over(1)(images, torch.arange(1), seed=0, epoch=0)


def test_masks_cannot_be_resized() -> None:
    with pytest.raises(ValueError, match="ProgressiveResize changes the size of images, and the targets of ShapeMasks"):
        ShapeMasksDataModule(augmentation=ProgressiveResize([4], [0.5]))
