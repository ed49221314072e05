"""A run resumed at any batch gets exactly the batches of the uninterrupted run."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules import CropFlip
from datamodules.memory.resume_state import Position
from tests.datamodules.support import MadeUp, Recorder, quiet_trainer

EPOCHS, BATCHES = 3, 6  # 90 training images in batches of 15


class SaveEverywhere(Callback):
    """Saves after every batch but the last, and at the end of every epoch, as a checkpoint callback may."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if not trainer.is_last_batch:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def data(seed: int | None = None, **kwargs: Any) -> MadeUp:
    arguments: dict[str, Any] = {"batch_size": 15, "augmentation": CropFlip(1, flip="alternating")}
    return MadeUp(seed=seed, **(arguments | kwargs))


def trained(model: Recorder) -> list[tuple[int, Tensor, Tensor]]:
    return [(epoch, images, targets) for stage, epoch, images, targets in model.seen if stage == "train"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, Tensor, Tensor]]]:
    folder, model = tmp_path_factory.mktemp("checkpoints"), Recorder()
    quiet_trainer(max_epochs=EPOCHS, callbacks=[SaveEverywhere(folder)]).fit(model, data(seed=11))
    return folder, trained(model)


def assert_continues(got: list[tuple[int, Tensor, Tensor]], expected: list[tuple[int, Tensor, Tensor]]) -> None:
    assert [epoch for epoch, _, _ in got] == [epoch for epoch, _, _ in expected]
    for (_, images, targets), (_, expected_images, expected_targets) in zip(got, expected, strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(targets, expected_targets)


@pytest.mark.parametrize("step", range(1, 2 * BATCHES + 1))
def test_at_every_batch_of_two_epochs(
    step: int,
    reference: tuple[Path, list[tuple[int, Tensor, Tensor]]],
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "999")  # another run's seed: the checkpoint's is used
    folder, whole = reference
    model = Recorder()
    quiet_trainer(max_epochs=EPOCHS).fit(model, data(), ckpt_path=folder / f"{step}.ckpt")
    assert len(whole) == EPOCHS * BATCHES
    assert_continues(trained(model), whole[step:])
    assert not [warning for warning in recwarn if "not resumable" in str(warning.message)]


@pytest.mark.parametrize("step", [3, 9])
def test_with_workers(step: int, reference: tuple[Path, list[tuple[int, Tensor, Tensor]]]) -> None:
    folder, whole = reference
    model = Recorder()
    quiet_trainer(max_epochs=EPOCHS).fit(model, data(num_workers=2), ckpt_path=folder / f"{step}.ckpt")
    assert_continues(trained(model), whole[step:])


def test_resumed_twice(reference: tuple[Path, list[tuple[int, Tensor, Tensor]]], tmp_path: Path) -> None:
    folder, whole = reference
    save = SaveEverywhere(tmp_path)
    quiet_trainer(max_epochs=EPOCHS, callbacks=[save]).fit(Recorder(), data(), ckpt_path=folder / "8.ckpt")
    model = Recorder()
    quiet_trainer(max_epochs=EPOCHS).fit(model, data(), ckpt_path=tmp_path / "10.ckpt")
    assert_continues(trained(model), whole[10:])


def test_when_the_run_length_is_read_before_the_loops_are_restored(
    reference: tuple[Path, list[tuple[int, Tensor, Tensor]]],
) -> None:
    class Asks(Recorder):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            assert self.trainer.estimated_stepping_batches == EPOCHS * BATCHES
            return super().configure_optimizers()

    folder, whole = reference
    model = Asks()
    quiet_trainer(max_epochs=EPOCHS).fit(model, data(), ckpt_path=folder / "9.ckpt")
    assert_continues(trained(model), whole[9:])


def test_a_later_run_from_the_start_skips_nothing(reference: tuple[Path, list[tuple[int, Tensor, Tensor]]]) -> None:
    folder, whole = reference
    module, again, fresh = data(), Recorder(), Recorder()
    quiet_trainer(max_epochs=EPOCHS).fit(Recorder(), module, ckpt_path=folder / "3.ckpt")
    quiet_trainer(max_epochs=EPOCHS).fit(again, module)
    quiet_trainer(max_epochs=EPOCHS).fit(fresh, data())
    assert len(trained(again)) == len(whole)
    assert_continues(trained(again), trained(fresh))


def test_saved_after_the_end_and_trained_longer(
    reference: tuple[Path, list[tuple[int, Tensor, Tensor]]], tmp_path: Path
) -> None:
    _, whole = reference
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(Recorder(), data(seed=11))
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    model = Recorder()
    quiet_trainer(max_epochs=EPOCHS).fit(model, data(), ckpt_path=tmp_path / "end.ckpt")
    assert_continues(trained(model), whole[BATCHES:])


def test_given_seed_is_used_with_a_warning(
    reference: tuple[Path, list[tuple[int, Tensor, Tensor]]],
) -> None:
    folder, whole = reference
    model = Recorder()
    with pytest.warns(UserWarning, match=r"data.seed is 5, the checkpoint's is 11: using data.seed"):
        quiet_trainer(max_epochs=EPOCHS).fit(model, data(seed=5), ckpt_path=folder / "3.ckpt")
    assert not torch.equal(trained(model)[0][1], whole[3][1])


def test_other_batch_size_warns_and_loads_the_rest_once(
    reference: tuple[Path, list[tuple[int, Tensor, Tensor]]],
) -> None:
    folder, whole = reference
    model = Recorder()
    with pytest.warns(UserWarning, match="saved after 4 batches of 15 on 1 process.* not the same run"):
        quiet_trainer(max_epochs=1).fit(model, data(batch_size=5), ckpt_path=folder / "4.ckpt")
    rest = torch.cat([images for _, images, _ in whole[4:BATCHES]])
    assert torch.equal(torch.cat([images for _, images, _ in trained(model)]), rest)


def test_normalisation_is_in_the_checkpoint(
    reference: tuple[Path, list[tuple[int, Tensor, Tensor]]], tmp_path: Path
) -> None:
    trainer, model = quiet_trainer(max_epochs=1), Recorder()
    trainer.fit(model, data(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6]))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    other = data()
    quiet_trainer().test(model, other, ckpt_path=tmp_path / "a.ckpt")
    assert other.statistics == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    given = data(mean=[0.5] * 3, std=[0.5] * 3)
    quiet_trainer().test(model, given, ckpt_path=tmp_path / "a.ckpt")
    assert given.statistics == ((0.5,) * 3, (0.5,) * 3)


def test_other_split_warns(reference: tuple[Path, list[tuple[int, Tensor, Tensor]]]) -> None:
    folder, _ = reference
    with pytest.warns(UserWarning, match="The validation images are not those of the checkpoint's run"):
        quiet_trainer().validate(Recorder(), data(split_seed=3), ckpt_path=folder / "3.ckpt")


def test_training_a_copy_changes_nothing(reference: tuple[Path, list[tuple[int, Tensor, Tensor]]]) -> None:
    """As the learning rate finder does at the start of a resumed fit."""

    class Search(Callback):
        def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
            copied = copy.copy(trainer.datamodule)  # type: ignore[attr-defined]
            copied.trainer = None
            quiet_trainer(max_epochs=1).fit(Recorder(), copied)

    folder, whole = reference
    model = Recorder()
    quiet_trainer(max_epochs=EPOCHS, callbacks=[Search()]).fit(model, data(), ckpt_path=folder / "8.ckpt")
    assert_continues(trained(model), whole[8:])


def test_state_holds_plain_numbers(reference: tuple[Path, list[tuple[int, Tensor, Tensor]]]) -> None:
    folder, _ = reference
    checkpoint = torch.load(folder / "8.ckpt", weights_only=True)
    state = checkpoint["MadeUp"]
    assert state["position"] == {"epoch": 1, "batches": 2, "batch_size": 15, "processes": 1}
    assert state["seed"] == 11


@pytest.mark.parametrize(
    ("batch_size", "processes", "samples"), [(15, 1, 60), (5, 1, 60), (40, 1, 40), (15, 2, 30), (7, 2, 28), (61, 1, 0)]
)
def test_samples_to_skip(batch_size: int, processes: int, samples: int) -> None:
    assert Position(0, 4, 15, 1).samples(batch_size, processes) == samples


def test_an_epoch_start_can_be_resumed_with_any_batch_size() -> None:
    assert Position().mismatch(64, 8) is None
    assert Position(3, 0, 15, 1).mismatch(64, 8) is None
    assert Position(3, 1, 15, 1).mismatch(15, 1) is None
    assert Position(3, 1, 15, 1).mismatch(64, 1)
    assert Position(3, 1, 15, 1).mismatch(15, 2)
