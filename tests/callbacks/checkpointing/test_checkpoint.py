"""The checkpoint callback on small fits: file names, folder, when it saves, the monitored value."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks import DurableCheckpoint, DurableCheckpointIO
from foundation.errors import UserError


class Line(LightningModule):
    """Linear regression that logs a given value after each validation."""

    def __init__(self, val_losses: tuple[float, ...] = (3.0, 2.0, 1.0), key: str = "val/loss") -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.val_losses, self.key, self.validations = val_losses, key, 0

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.layer(batch[0])

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self.validations += 1
        self.log(self.key, self.val_losses[min(max(self.validations, 1), len(self.val_losses)) - 1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def loader(batches: int = 4) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(2 * batches, 2, generator=generator)), batch_size=2)


def fit(
    folder: Path, checkpoint: DurableCheckpoint, module: Line | None = None, ckpt_path: Any = None, **flags: Any
) -> Trainer:
    options: dict[str, Any] = {"max_epochs": 3, "logger": False, "num_sanity_val_steps": 0} | flags
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[checkpoint],
        **options,
    )
    trainer.fit(module or Line(), loader(), loader(), ckpt_path=ckpt_path)
    return trainer


def load(path: Path) -> dict[str, Any]:
    return DurableCheckpointIO().load_checkpoint(path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_names_in_the_run_folder(tmp_path: Path) -> None:
    trainer = fit(tmp_path, DurableCheckpoint(), Line((2.0, 1.0, 3.0)))
    assert names(tmp_path / "checkpoints") == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    assert load(tmp_path / "checkpoints/best.ckpt")["global_step"] == 8
    assert load(tmp_path / "checkpoints/previous.ckpt")["global_step"] == 8
    assert load(tmp_path / "checkpoints/last.ckpt")["global_step"] == 12
    assert trainer.checkpoint_callback is not None
    assert trainer.checkpoint_callback.best_model_path == str(tmp_path / "checkpoints/best.ckpt")  # type: ignore[attr-defined]
    assert isinstance(trainer.strategy.checkpoint_io, DurableCheckpointIO)


def test_checkpoints_lie_in_the_folder_of_the_first_logger(tmp_path: Path) -> None:
    fit(tmp_path, DurableCheckpoint(), logger=CSVLogger(tmp_path / "runs", name="line", version=7))
    assert (tmp_path / "runs/line/7/checkpoints/last.ckpt").is_file() or (
        tmp_path / "runs/line/version_7/checkpoints/last.ckpt"
    ).is_file()


@pytest.mark.parametrize(
    ("steps", "accumulate", "interval", "expected"),
    [
        (3, 1, 1.0, [3, 6, 9, 12]),  # a run can resume exactly from 3, 6 and 9; 12 is the end of the last epoch
        (4, 1, 1.0, [4, 8, 12]),  # an epoch's last batch waits for the epoch's end
        (2, 1, 2, [4, 7, 8, 11, 12]),  # a validation follows step 6: one step later (2 was saved as the best)
        (1, 2, 1.0, [1, 2, 3, 4, 5, 6]),  # two batches to a step
    ],
)
def test_a_save_by_steps_waits_until_an_exact_resume_is_possible(
    tmp_path: Path, steps: int, accumulate: int, interval: float, expected: list[int]
) -> None:
    saved: list[int] = []

    class Recording(DurableCheckpoint):
        def save(self, trainer: Trainer, rank: bool = False, only_if_best: bool = False) -> None:
            if not only_if_best:
                saved.append(trainer.global_step)
            super().save(trainer, rank, only_if_best)

    checkpoint = Recording(every_n_train_steps=steps, every_n_epochs=100)
    fit(tmp_path, checkpoint, Line((1.0, 2.0)), accumulate_grad_batches=accumulate, val_check_interval=interval)
    assert saved == expected


def test_top_k_keeps_the_best_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    fit(tmp_path, DurableCheckpoint(save_top_k=2), Line((2.0, 1.0, 3.0, 0.5)), max_epochs=4)
    assert names(folder) == [
        "best.ckpt",
        "epoch001-step000008.ckpt",
        "epoch003-step000016.ckpt",
        "last.ckpt",
        "previous.ckpt",
    ]
    assert load(folder / "best.ckpt")["global_step"] == 16


def test_best_model_of_a_validation_in_mid_epoch_is_saved(tmp_path: Path) -> None:
    fit(tmp_path, DurableCheckpoint(), Line((5.0, 4.0, 1.0, 2.0)), max_epochs=2, val_check_interval=2)
    assert load(tmp_path / "checkpoints/best.ckpt")["global_step"] == 6


@pytest.mark.parametrize("monitor", ["val/loss", "valid_loss", "loss/validation"])
def test_a_run_without_validation_warns(tmp_path: Path, monitor: str) -> None:
    with pytest.warns(UserWarning, match=rf"no validation, so the checkpoint cannot monitor '{monitor}'"):
        fit(tmp_path, DurableCheckpoint(monitor=monitor), limit_val_batches=0)
    assert names(tmp_path / "checkpoints") == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize("sanity", [0, 1])
def test_validation_monitor_that_is_not_logged(tmp_path: Path, sanity: int) -> None:
    module = Line()
    with pytest.raises(
        UserError, match=r"'val/lose' \(--checkpoint\.monitor\), which is not logged; did you mean 'val/loss'"
    ):
        fit(tmp_path, DurableCheckpoint(monitor="val/lose", mode="min"), module, num_sanity_val_steps=sanity)
    assert module.validations == 1 - sanity


@pytest.mark.parametrize("sanity", [0, 1])
@pytest.mark.parametrize("key", ["val_loss", "valid/loss", "loss/validation"])
def test_the_default_follows_the_name_that_the_module_uses(
    tmp_path: Path, key: str, sanity: int, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = DurableCheckpoint()
    with caplog.at_level("INFO"):
        fit(tmp_path, checkpoint, Line((3.0, 1.0, 2.0), key), num_sanity_val_steps=sanity)
    assert caplog.text.count(f"best.ckpt is that of the lowest {key};") == 1
    assert load(tmp_path / "checkpoints/best.ckpt")["global_step"] == 8
    assert load(tmp_path / "checkpoints/last.ckpt")["descent"]["monitor"] == key
    resumed = DurableCheckpoint()
    fit(tmp_path, resumed, Line((3.0, 1.0, 2.0), key), max_epochs=4, ckpt_path=str(tmp_path / "checkpoints/last.ckpt"))
    assert resumed.ranking.scores["best.ckpt"] == 1.0


def test_without_any_validation_loss_there_is_no_best(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"No val/loss is logged.*Logged are: val/f1: choose one with"):
        fit(tmp_path, DurableCheckpoint(), Line(key="val/f1"))
    assert names(tmp_path / "checkpoints") == ["last.ckpt", "previous.ckpt"]


def test_the_direction_follows_from_the_metric(tmp_path: Path) -> None:
    assert DurableCheckpoint(monitor="val/accuracy").mode == "max"
    assert "'mode': 'max'" in DurableCheckpoint(monitor="val/accuracy").state_key
    with pytest.raises(UserError, match=r"with mode min, but a larger accuracy is better: set checkpoint\.mode: max"):
        DurableCheckpoint(monitor="val/accuracy", mode="min")
    with pytest.raises(UserError, match=r"'val/lose', and it is not known .* set checkpoint\.mode: max.*'val/loss'\?"):
        fit(tmp_path, DurableCheckpoint(monitor="val/lose"))


def test_the_best_of_a_metric_that_only_the_module_knows_is_the_largest(tmp_path: Path) -> None:
    class Agreement(torchmetrics.MeanMetric):
        higher_is_better = True  # type: ignore[assignment]

    class Agreeing(Line):
        def __init__(self) -> None:
            super().__init__()
            self.agreement = Agreement()

        def on_validation_epoch_end(self) -> None:
            super().on_validation_epoch_end()
            self.log("val/agreement", float(self.current_epoch != 1))

    checkpoint = DurableCheckpoint(monitor="val/agreement")
    fit(tmp_path, checkpoint, Agreeing())
    assert (checkpoint.mode, float(checkpoint.best_model_score or 0)) == ("max", 1.0)


def test_a_checkpoint_says_in_which_epoch_a_metric_was_measured(tmp_path: Path) -> None:
    fit(tmp_path, DurableCheckpoint(), check_val_every_n_epoch=2, max_epochs=3)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["descent"]
    assert saved["metric_epochs"] == {"train/loss": 2, "val/loss": 1}
    assert saved["metrics"]["val/loss"] == 3.0


def test_training_monitor_that_is_not_logged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"did you mean 'train/loss'"):
        fit(tmp_path, DurableCheckpoint(monitor="train/lose", mode="min"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "low"}, "mode must be one of min, max; got 'low'"),
        ({"save_top_k": -2}, "save_top_k must be ≥ -1"),
        ({"every_n_train_steps": 0}, "every_n_train_steps must be ≥ 1, got 0"),
        ({"every_n_epochs": 0}, "every_n_epochs must be ≥ 1, got 0"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DurableCheckpoint(**options)


def test_resume_remembers_the_best(tmp_path: Path) -> None:
    fit(tmp_path, DurableCheckpoint(), Line((1.0, 2.0)), max_epochs=2)
    checkpoint = DurableCheckpoint()
    trainer = Trainer(
        default_root_dir=tmp_path, logger=False, max_epochs=3, callbacks=[checkpoint], enable_progress_bar=False
    )
    trainer.fit(Line((1.5,)), loader(), loader(), ckpt_path="last")
    assert trainer.ckpt_path == str(tmp_path / "checkpoints/last.ckpt")
    assert load(tmp_path / "checkpoints/best.ckpt")["global_step"] == 4
    assert load(tmp_path / "checkpoints/last.ckpt")["global_step"] == 12
