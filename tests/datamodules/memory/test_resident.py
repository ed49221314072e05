"""Data that stays on the device: the same batches as from the host, in every stage, resumed, and on two processes."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import CropFlip, ImageFolderDataModule, LinearRegressionDataModule, ShapeMasksDataModule
from datamodules.memory.images import ImageDataset
from datamodules.memory.resident import (
    Residence,
    ResidentDataset,
    ResidentLoader,
)
from tests.datamodules.memory.resident_case import CPU, Loaders, Seen, assert_same, data, in_a_fit
from tests.datamodules.memory.test_resume import SaveEverywhere
from tests.datamodules.support import Recorder, made_up, quiet_trainer, save_image
from tests.phantom_gpu import device
from tests.phantom_gpu.counting import counted
from tests.ranks.processes import ddp, in_processes


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
