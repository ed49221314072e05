"""Studies of modules that others write: manual optimization, metrics under other names."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from descent import compare


class Usual(LightningModule):
    """A module that logs `train_loss`, `val_loss` and `val_acc`."""

    def __init__(self, lr: float = 0.1, manual: bool = False) -> None:
        super().__init__()
        self.net, self.lr = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), lr
        self.automatic_optimization = not manual

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        if self.automatic_optimization:
            return loss
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return None

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), self.lr)


def study(folder: Path, **changed: Any) -> dict[str, Any]:
    experiment = {
        "seed_everything": 0,
        "trainer": {"max_epochs": 1, "limit_train_batches": 6, "accelerator": "cpu", "enable_progress_bar": False},
        "model": {"class_path": f"{__name__}.Usual"},
        "data": {"class_path": "datamodules.DigitsDataModule"},
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(experiment))
    candidates = {"slow": {"model.lr": 1e-4}, "fast": {}}
    rest = {"metric": "val_acc", "baseline": "slow", "trials": 1, "seeds": 3, "search": {"model.lr": 3.0}}
    return {"name": "own", "experiment": str(path), "candidates": candidates, **rest, **changed}


@pytest.mark.parametrize("manual", [False, True])
def test_a_module_is_judged_by_what_it_logs(manual: bool, tmp_path: Path) -> None:
    candidates = {"slow": {"model.lr": 1e-4, "model.manual": manual}, "fast": {"model.lr": 0.1, "model.manual": manual}}
    result = compare(study(tmp_path, candidates=candidates), out=tmp_path, verbose=False)
    assert result is not None
    assert set(result.runs["status"]) == {"done"}
    table = result.table
    assert table.loc["fast", "mean"] > table.loc["slow", "mean"] + 0.1


def test_a_metric_of_training_is_still_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="metric must be a validation metric"):
        compare(study(tmp_path, metric="train_loss"), out=tmp_path, verbose=False)
