"""When data stay on the device: what fits, what is copied."""

import logging

import pytest
import torch

from datamodules import Images
from datamodules.memory.images import Batch, ImageDataset
from datamodules.memory.resident import (
    CHUNK,
    Residence,
    ResidentDataset,
    as_size,
    bytes_of,
    copied_rows,
    sets_in_use,
)
from foundation.errors import UserError
from tests.datamodules.memory.resident_case import CPU, GPU, data, in_a_fit
from tests.datamodules.support import made_up, quiet_trainer


@pytest.fixture
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with 4 kB free; copies stay on the CPU."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4000, 8000))
    on_cpu = ResidentDataset.__init__

    def made_here(self: ResidentDataset, dataset: ImageDataset, device: torch.device) -> None:
        on_cpu(self, dataset, CPU)
        self.device = device

    monkeypatch.setattr(ResidentDataset, "__init__", made_here)


def sets(train: int, validation: int) -> dict[str, ImageDataset]:
    return {"training": ImageDataset(made_up(train)), "validation": ImageDataset(made_up(validation))}


@pytest.mark.usefixtures("_room")
def test_auto_uses_a_quarter_of_the_free_memory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fits, too_large = sets(10, 5), sets(10, 6)  # 64 bytes each
    assert bytes_of(fits["training"]) == 640
    residence = Residence("auto")
    assert residence.copy_of(fits["training"], fits, GPU, 3) is not None
    assert residence.copy_of(fits["validation"], fits, GPU, 3) is not None
    assert Residence("auto").copy_of(too_large["training"], too_large, GPU) is None
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "10 training and 5 validation samples stay on cuda:0: 960 bytes of its memory; data.num_workers 3 is not used.",
        "10 training and 6 validation samples stay in host memory: they need 1.0 kB, and 25% of the free memory of "
        "cuda:0 is 1.0 kB.",
    ]


@pytest.mark.usefixtures("_room")
def test_true_uses_all_of_it_or_says_that_it_cannot() -> None:
    fits, too_large = sets(40, 20), sets(40, 23)
    assert Residence(True).copy_of(fits["training"], fits, GPU) is not None
    with pytest.raises(UserError, match=r"device_resident is true, but they need .* set it to auto or false"):
        Residence(True).copy_of(too_large["training"], too_large, GPU)


@pytest.mark.usefixtures("_room")
def test_when_it_is_off() -> None:
    few = sets(2, 1)
    assert Residence(False).copy_of(few["training"], few, GPU) is None
    assert Residence("auto").copy_of(few["training"], few, CPU) is None
    assert Residence("auto").copy_of(few["training"], few, None) is None


@pytest.mark.usefixtures("_room")
def test_a_dataset_that_makes_its_batches_itself() -> None:
    class Brighter(ImageDataset):
        def __getitems__(self, positions: list[int]) -> Batch:
            images, targets, rows = super().__getitems__(positions)
            return images + 1, targets, rows

    own: dict[str, ImageDataset] = {"training": Brighter(made_up(4))}
    assert Residence("auto").copy_of(own["training"], own, GPU) is None
    with pytest.raises(UserError, match="Brighter makes its batches in its own way: set it to auto or false"):
        Residence(True).copy_of(own["training"], own, CPU)


def test_a_wrong_setting() -> None:
    with pytest.raises(ValueError, match="device_resident must be auto, true or false, got 'yes'"):
        data(device_resident="yes")


def test_only_the_sets_of_the_command() -> None:
    train, val, test = (ImageDataset(made_up(3)) for _ in range(3))
    named = {"training": train, "validation": val, "test": test}
    assert list(sets_in_use(train, in_a_fit(), **named)) == ["training", "validation"]
    assert list(sets_in_use(val, None, **named)) == ["validation"]
    assert list(sets_in_use(test, quiet_trainer(), **named)) == ["test"]


def test_copied_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values, rows = torch.arange(60.0).view(20, 3), torch.tensor([19, 0, 7, 7, 3])
    monkeypatch.setattr("datamodules.memory.resident.CHUNK", 24)
    assert torch.equal(copied_rows(values, rows, CPU), values[rows])
    assert len(copied_rows(values, rows[:0], CPU)) == 0
    assert CHUNK >= 1 << 20


def test_rows_of_the_originals_and_memory() -> None:
    held = Images(made_up(9).pixels, torch.arange(9))
    resident = ResidentDataset(ImageDataset(held, torch.tensor([8, 2, 5])), CPU)
    images, targets, rows = resident.__getitems__([2, 0])
    assert torch.equal(rows, torch.tensor([5, 8]))
    assert torch.equal(targets, rows)
    assert torch.equal(images, held.pixels[rows].permute(0, 3, 1, 2))
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert as_size(154_000_000) == "154.0 MB"
