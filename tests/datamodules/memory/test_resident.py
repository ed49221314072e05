"""Data that stays on the device: the same batches as from the host, in every stage, resumed, and on two processes."""

import copy
import logging
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules import CropFlip, ImageFolderDataModule, Images, LinearRegressionDataModule, ShapeMasksDataModule
from datamodules.memory.images import Batch, ImageDataset
from datamodules.memory.resident import (
    CHUNK,
    Residence,
    ResidentDataset,
    ResidentLoader,
    as_size,
    bytes_of,
    copied_rows,
    sets_in_use,
)
from foundation.errors import UserError
from tests.datamodules.memory.test_resume import SaveEverywhere
from tests.datamodules.support import MadeUp, Recorder, made_up, quiet_trainer, save_image
from tests.phantom_gpu import device
from tests.phantom_gpu.counting import counted
from tests.ranks.processes import ddp, in_processes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
Seen = list[tuple[str, int, Tensor, Tensor]]


class Loaders(Recorder):
    """Notes the class of the loaders that were used."""

    def __init__(self) -> None:
        super().__init__()
        self.loaders: set[type] = set()

    def on_train_epoch_end(self) -> None:
        self.loaders |= {type(self.trainer.train_dataloader), type(self.trainer.val_dataloaders)}


def data(**kwargs: Any) -> MadeUp:
    arguments: dict[str, Any] = {"batch_size": 16, "eval_batch_size": 7, "augmentation": CropFlip(1), "seed": 2}
    return MadeUp(**(arguments | kwargs))


def assert_same(one: Seen, other: Seen) -> None:
    assert [entry[:2] for entry in one] == [entry[:2] for entry in other]
    for (_, _, images, targets), (_, _, other_images, other_targets) in zip(one, other, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(targets, other_targets)
        assert images.stride() == other_images.stride()


@pytest.mark.parametrize("settings", [{}, {"drop_last": False}, {"augmentation": None, "channels_last": False}])
def test_every_stage_gets_the_batches_of_the_host(settings: dict[str, Any]) -> None:
    seen: list[Seen] = []
    for resident in (False, True):
        module, model = data(device_resident=resident, **settings), Loaders()
        trainer = quiet_trainer(max_epochs=2)
        trainer.fit(model, module)
        trainer.validate(model, module)
        trainer.test(model, module)
        predictions = trainer.predict(model, module)
        assert predictions is not None
        model.seen += [("predict", 0, images, torch.tensor(0)) for images in predictions]  # type: ignore[misc]
        seen.append(model.seen)
        assert (model.loaders == {ResidentLoader}) == resident
    assert len({stage for stage, *_ in seen[0]}) == 4
    assert_same(*seen)


def test_overfit_batches_whose_sampler_is_lightnings() -> None:
    seen: list[Seen] = []
    for resident in (False, True):
        model = Recorder()
        trainer = quiet_trainer(max_epochs=2, overfit_batches=2, num_sanity_val_steps=0)
        trainer.fit(model, data(device_resident=resident))
        seen.append(model.seen)
    assert_same(*seen)


@pytest.mark.parametrize("step", [0, 1, 4, 5, 7])
def test_resumed_at_any_batch(step: int, tmp_path: Path) -> None:
    whole, rest = Recorder(), Recorder()
    save = SaveEverywhere(tmp_path)
    quiet_trainer(max_epochs=3, callbacks=[save], num_sanity_val_steps=0).fit(whole, data(device_resident=False))
    path = tmp_path / f"{step}.ckpt" if step else None
    quiet_trainer(max_epochs=3, num_sanity_val_steps=0).fit(
        rest, data(device_resident=True, seed=None if step else 2), ckpt_path=path
    )
    expected = [entry for entry in whole.seen if entry[0] == "train"]
    assert_same([entry for entry in rest.seen if entry[0] == "train"], expected[step:])


def of_a_rank(rank: int, count: int, folder: str) -> list[Seen]:
    seen = []
    for resident in (False, True):
        model, resumed = Recorder(), Recorder()
        path = Path(folder) / str(resident)
        for each, checkpoint in ((model, None), (resumed, path / "4.ckpt")):  # 4: in the middle of the second epoch
            trainer = quiet_trainer(
                max_epochs=2, strategy=ddp(), devices=count, num_sanity_val_steps=0, callbacks=[SaveEverywhere(path)]
            )
            trainer.fit(each, data(train=101, batch_size=14, device_resident=resident), ckpt_path=checkpoint)
        trainer.test(model, data(device_resident=resident))
        seen += [model.seen, resumed.seen]
    return seen


def test_two_processes(tmp_path: Path) -> None:
    (host, host_resumed, resident, resumed), (second, *_) = in_processes(2, of_a_rank, tmp_path)
    assert_same(host, resident)
    assert_same(host_resumed, resumed)
    assert len([entry for entry in resumed if entry[0] == "train"]) == 2
    assert not torch.equal(host[0][2], second[0][2])


def test_masks_and_tables() -> None:
    for kind, settings in (
        (ShapeMasksDataModule, {"pictures": 40, "augmentation": CropFlip(2)}),
        (TABLE, {"rows": 60}),
    ):
        batches = []
        for resident in (False, True):
            module = kind(batch_size=8, device_resident=resident, **settings)  # type: ignore[arg-type]
            module.trainer = in_a_fit()
            module.setup("fit")
            for loader in (module.train_dataloader(), module.val_dataloader()):
                assert isinstance(loader, ResidentLoader) == resident
                batches.append([module.prepare_batch(batch, training=True, epoch=1) for batch in loader])
        for host, copied in zip(batches[:2], batches[2:], strict=True):
            assert all(torch.equal(a, b) for x, y in zip(host, copied, strict=True) for a, b in zip(x, y, strict=True))


TABLE = LinearRegressionDataModule


def in_a_fit() -> Any:
    state = SimpleNamespace(fn="fit")
    strategy = SimpleNamespace(root_device=CPU)
    return SimpleNamespace(
        strategy=strategy, state=state, world_size=1, global_rank=0, max_epochs=3, max_steps=-1, training=True
    )


def test_a_folder_copies_only_its_rows_and_follows_a_change(tmp_path: Path) -> None:
    for number in range(12):
        save_image(tmp_path / "images" / ("cat", "dog")[number % 2] / f"{number}.png", seed=number)
    root = str(tmp_path / "images")
    module = ImageFolderDataModule(root, 8, val_share=0.4, batch_size=2, device_resident=True)
    module.trainer = in_a_fit()
    module.prepare_data()
    module.setup("fit")
    loader = module.train_dataloader()
    assert isinstance(loader.dataset, ResidentDataset)
    assert len(loader.dataset._pixels) == len(loader.dataset) < 12
    before = loader.dataset
    module.open("fit")
    assert module.train_dataloader().dataset is not before


def test_the_copy_is_kept_for_as_long_as_its_original() -> None:
    module = data(device_resident=True)
    module.trainer = in_a_fit()
    module.setup("fit")
    first, again = module.train_dataloader().dataset, module.train_dataloader().dataset
    assert first is again
    assert copy.copy(module).train_dataloader().dataset is first
    assert len(module._residence._copies) == 2
    del first, again
    module._train_loader = None
    module.setup("fit")
    assert len(module._residence._copies) == 0


def test_pickled_and_deep_copied_without_the_copies() -> None:
    residence = Residence(True)
    dataset = ImageDataset(made_up(10))
    assert residence.copy_of(dataset, {"training": dataset}, CPU) is not None
    for other in (pickle.loads(pickle.dumps(residence)), copy.deepcopy(residence)):
        assert other.setting is True
        assert not other._copies


# -- where it fits -----------------------------------------------------------------------------------------------------


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


# -- on a device -------------------------------------------------------------------------------------------------------


@pytest.mark.phantom_gpu(values=True, deferred=True)
def test_every_stage_on_a_device_gets_the_batches_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as Lightning sets it
    seen: list[Seen] = []
    for accelerator, resident in (("cpu", False), ("gpu", "auto"), ("gpu", False)):
        module, model = data(device_resident=resident, drop_last=False), Loaders()
        trainer = quiet_trainer(max_epochs=2, accelerator=accelerator, devices=1)
        trainer.fit(model, module)
        trainer.test(model, module)
        assert (model.loaders == {ResidentLoader}) == (resident == "auto")
        seen.append([(stage, epoch, images.cpu(), targets.cpu()) for stage, epoch, images, targets in model.seen])
    assert_same(seen[0], seen[1])
    assert_same(seen[0], seen[2])


@pytest.mark.phantom_gpu
def test_a_step_copies_nothing_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    with counted() as found:
        trainer = quiet_trainer(max_epochs=2, accelerator="gpu", devices=1, num_sanity_val_steps=0)
        trainer.fit(Recorder(), data(device_resident="auto"))
    first_of_epoch = {0, 5}
    for number, step in enumerate(found.steps):
        copies = sum(step[kind] for kind in device.COPIES)
        assert copies == 0 or number in first_of_epoch
    assert found.waits() == [0] * len(found.waits())
    assert found.waits("validation") == [0] * len(found.waits("validation"))
