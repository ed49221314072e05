"""Choices that are looked up in a table of the epoch are those that each batch would draw, and those of earlier versions."""

import hashlib
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from datamodules import Augmentation, Chain, CropFlip, CutMix, Cutout, MixUp
from datamodules.augmentations.draws import MOST, EpochDraws
from tests.datamodules.support import MadeUp, Recorder, quiet_trainer
from tests.phantom_gpu import device

ROWS = torch.randperm(200, generator=torch.Generator().manual_seed(2))[:50]
Prepare = Callable[[Augmentation], Augmentation]

EARLIER = {
    "crop reflect random": "f5ef3fb2725eb147",
    "crop reflect alternating": "bed47ac09501ec97",
    "crop reflect none": "478d6a33089a4287",
    "crop zero random": "d189235892117b4e",
    "crop zero alternating": "7daf9b83e06aaba1",
    "crop zero none": "b90188fb884a9cc7",
    "cutout": "511779bd20a9d8aa",
    "cutmix": "074af1cbcb8d6aca",
}
"""Hashes of the results of version 0.5, whose runs must resume exactly."""


def images(height: int, width: int, channels: int) -> Tensor:
    g = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (50, height, width, channels), dtype=torch.uint8, generator=g).permute(0, 3, 1, 2)


def results(name: str, prepare: Prepare) -> Iterator[Tensor]:
    kind, _, choice = name.partition(" ")
    if kind == "crop":
        mode, flip = choice.split()
        for height, width, channels, padding in ((8, 8, 3, 2), (5, 9, 1, 4), (9, 6, 4, 0)):
            crop = prepare(CropFlip(padding, mode, flip))  # type: ignore[arg-type]
            for seed, epoch in ((0, 0), (3, 1), (3, 2)):
                yield crop(images(height, width, channels), ROWS, seed, epoch)
    elif kind == "cutout":
        for size in (1, 3, 8):
            cutout = prepare(Cutout(size, 7))
            for seed, epoch in ((0, 0), (3, 1)):
                yield cutout(images(9, 6, 3), ROWS, seed, epoch)
    else:
        g = torch.Generator().manual_seed(0)
        normal, targets = torch.rand(50, 3, 9, 7, generator=g), torch.rand(50, 5, generator=g)
        for probability in (1.0, 0.4):
            mixing = prepare({"mixup": MixUp, "cutmix": CutMix}[kind](1.0, probability))
            for seed, epoch in ((0, 0), (3, 1), (3, 2)):
                for rows in (ROWS, ROWS.flip(0)):
                    yield from mixing.mix(normal, targets, rows, seed, epoch)


def as_is(augmentation: Augmentation) -> Augmentation:
    return augmentation


def known(augmentation: Augmentation) -> Augmentation:
    return augmentation.for_samples(200)


@pytest.mark.parametrize("prepare", [as_is, known])
@pytest.mark.parametrize("name", EARLIER)
def test_results_of_earlier_versions(name: str, prepare: Prepare) -> None:
    digest = hashlib.blake2b(digest_size=8)
    for result in results(name, prepare):
        digest.update(result.contiguous().numpy().tobytes())
    assert digest.hexdigest() == EARLIER[name]


@pytest.mark.parametrize("name", [*EARLIER, "mixup"])
def test_a_table_changes_nothing(name: str) -> None:
    for looked_up, drawn in zip(results(name, known), results(name, as_is), strict=True):
        assert torch.equal(looked_up, drawn)


def test_a_table_is_made_once_an_epoch() -> None:
    calls = []

    def draw(rows: Tensor) -> Tensor:
        calls.append(len(rows))
        return 2 * rows

    draws, rows = EpochDraws(10), torch.tensor([7, 1])
    for epoch in (0, 0, 1, 1, 1):
        for name in ("one", "other"):
            assert draws(name, draw, (0, epoch), rows).tolist() == [14, 2]
    assert calls == [10, 10] * 2


def test_too_many_images_for_a_table() -> None:
    assert EpochDraws(MOST + 1)("all", lambda rows: rows, 0, torch.tensor([MOST])).tolist() == [MOST]


def test_the_augmentation_itself_and_a_chain_stay_as_they_are() -> None:
    crop, cutout = CropFlip(1), Cutout(2)
    chain = Chain([crop, cutout]).for_samples(30)
    assert crop.draws.samples is None
    assert [step.draws.samples for step in chain.steps] == [30, 30]  # type: ignore[attr-defined]


def test_a_run_uses_a_table() -> None:
    data = MadeUp(train=100, batch_size=10, augmentation=CropFlip(1))
    quiet_trainer(max_epochs=1).fit(Recorder(), data)
    assert data._augmentation.draws.samples == 100  # type: ignore[union-attr]


LAUNCHES = {"crop reflect random": 7, "crop zero random": 11, "cutout": 5, "mixup": 12, "cutmix": 20}


@pytest.mark.phantom_gpu
@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_of_a_batch(name: str) -> None:
    """The first batch of an epoch makes the tables; a later one costs a handful of launches and never waits."""
    made: dict[str, Augmentation] = {
        "crop reflect random": CropFlip(2),
        "crop zero random": CropFlip(2, "zero"),
        "cutout": Cutout(),
        "mixup": MixUp(1.0),
        "cutmix": CutMix(1.0),
    }
    augmentation = made[name].for_samples(200)
    pixels, rows, targets = images(32, 32, 3).cuda(), ROWS.cuda(), torch.rand(50, 10).cuda()
    normal = pixels.float()
    for _ in range(2):
        before = device.counts()
        augmentation(pixels, rows, 0, 0)
        if augmentation.mixes:
            augmentation.mix(normal, targets, rows, 0, 0)
        asked = {kind: count - before[kind] for kind, count in device.counts().items()}
    assert 0 < asked["launch"] <= LAUNCHES[name]
    assert not any(asked[kind] for kind in (*device.SYNCS, *device.COPIES))
