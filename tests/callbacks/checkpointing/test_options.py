"""Options of Lightning's `ModelCheckpoint` that `DurableCheckpoint` has too."""

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from callbacks import DurableCheckpoint
from callbacks.checkpointing.reading import last_valid
from foundation.errors import UserError
from tests.callbacks.checkpointing.test_checkpoint import Line, fit, load, loader, names


class Fails(Line):
    """Fails in the second batch of the second epoch."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.trainer.current_epoch == 1 and batch_idx == 1:
            raise ArithmeticError("the second batch")
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("saves", [False, True])
def test_a_save_on_an_exception_leaves_the_last_checkpoint_alone(tmp_path: Path, saves: bool) -> None:
    with pytest.raises(ArithmeticError, match="the second batch"):
        fit(tmp_path, DurableCheckpoint(save_on_exception=saves), Fails())
    folder = tmp_path / "checkpoints"
    assert names(folder) == ["best.ckpt", *(["exception.ckpt"] if saves else []), "last.ckpt"]
    assert load(folder / "last.ckpt")["global_step"] == 4
    assert last_valid(folder) == (folder / "last.ckpt", "")
    if saves:
        assert load(folder / "exception.ckpt")["global_step"] == 5
        last_step = DurableCheckpoint(save_on_exception=True, every_n_train_steps=1)  # is saved already
        with pytest.raises(ArithmeticError, match="the second batch"):
            fit(tmp_path / "each step", last_step, Fails())
        assert not (tmp_path / "each step" / "checkpoints" / "exception.ckpt").exists()
        (folder / "last.ckpt").unlink()
        assert last_valid(folder)[0] == folder / "best.ckpt"  # a resume never starts within a step


def test_a_save_on_an_exception_that_fails_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = DurableCheckpoint(save_on_exception=True)

    def full(*args: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(saver, "_take_folder", full)
    module = Fails((1.0,))
    module.training_step = full  # type: ignore[method-assign, assignment]
    with pytest.warns(UserWarning, match="exception.ckpt could not be saved: the disk is full"):  # noqa: SIM117
        with pytest.raises(OSError, match="the disk is full"):
            fit(tmp_path, saver, module)


def test_weights_only(tmp_path: Path) -> None:
    fit(tmp_path, DurableCheckpoint(save_weights_only=True), max_epochs=1)
    saved = load(tmp_path / "checkpoints" / "last.ckpt")
    assert "optimizer_states" not in saved
    assert set(saved["state_dict"]) == {"layer.weight", "layer.bias"}
    trainer = fit(tmp_path / "other", DurableCheckpoint(), max_epochs=1)
    with pytest.raises(UserError, match=r"last\.ckpt holds weights only"):
        trainer.fit(Line(), loader(), ckpt_path=tmp_path / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ({"monitor": None, "save_top_k": 2}, ["epoch001-step000008.ckpt", "epoch002-step000012.ckpt"]),
        ({"monitor": None, "save_top_k": -1, "every_n_epochs": 2}, ["epoch001-step000008.ckpt", "epoch002-step000012.ckpt"]),
        ({"monitor": "step", "save_top_k": 2},
         ["best.ckpt", "epoch001-step000008.ckpt", "epoch002-step000012.ckpt"]),
        ({"monitor": "epoch", "mode": "min"}, ["best.ckpt"]),
    ],
)  # fmt: skip
def test_the_newest_are_kept_without_a_logged_value(tmp_path: Path, arguments: dict[str, Any], kept: list[str]) -> None:
    trainer = fit(tmp_path, DurableCheckpoint(**arguments))
    folder = tmp_path / "checkpoints"
    assert names(folder) == sorted([*kept, "last.ckpt", "previous.ckpt"])
    best: Any = trainer.checkpoint_callback
    assert best.best_model_path == str(folder / ("best.ckpt" if "best.ckpt" in kept else "last.ckpt"))
    if "best.ckpt" in kept:
        assert load(folder / "best.ckpt")["global_step"] == (12 if arguments["monitor"] == "step" else 4)


def test_attributes_that_lightnings_users_read(tmp_path: Path) -> None:
    """`current_score` is the latest score; without a best model there is no path of one."""
    folder = tmp_path / "own"
    saver = DurableCheckpoint("epoch", mode="min", dirpath=folder)
    assert saver.dirpath == str(folder)
    fit(tmp_path, saver)
    assert saver.current_score == 2
    assert saver.best_model_score == 0
    none: Any = DurableCheckpoint("epoch", save_top_k=0, dirpath=tmp_path / "none")
    trainer = fit(tmp_path, none)
    assert none.best_model_path == ""
    assert none.last_model_path == str(tmp_path / "none" / "last.ckpt")
    with pytest.raises(ValueError, match="is not configured to save the best model"):
        trainer.test(ckpt_path="best")
