"""Launchers that pass the trained weights back to the first process through the checkpoint IO."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    SingleDeviceStrategy,
    Strategy,
)

from callbacks import BackgroundCheckpointIO, DurableCheckpoint, DurableCheckpointIO
from foundation.errors import UserError
from tests.callbacks.checkpointing.test_checkpoint import Line, load, loader


@pytest.mark.parametrize("background", [False, True])
def test_forked_processes(tmp_path: Path, background: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ddp_spawn` and `ddp_notebook` have the same launcher, and `ddp_notebook` forks."""
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}.items():
        monkeypatch.setenv(name, value)  # Lightning sets them, and leaves them
    io = BackgroundCheckpointIO() if background else DurableCheckpointIO()
    module = Line()
    trainer = Trainer(
        default_root_dir=tmp_path, logger=False, accelerator="cpu", strategy="ddp_fork", devices=1, max_epochs=1,
        plugins=[io], callbacks=[DurableCheckpoint(monitor=None)], enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader(), loader())
    saved = load(tmp_path / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(torch.equal(tensor, saved[name]) for name, tensor in module.state_dict().items())


def test_what_the_io_has_saved_it_loads(tmp_path: Path) -> None:
    weights = {"layer.weight": torch.ones(2)}
    DurableCheckpointIO().save_checkpoint(weights, tmp_path / "ours.ckpt")
    assert torch.equal(DurableCheckpointIO().load_checkpoint(tmp_path / "ours.ckpt")["layer.weight"], torch.ones(2))
    torch.save(weights, tmp_path / "theirs.pt")
    with pytest.raises(UserError, match="is not a checkpoint of a training run"):
        DurableCheckpointIO().load_checkpoint(tmp_path / "theirs.pt")


def test_options_of_another_io_are_refused(tmp_path: Path) -> None:
    options: Any = {"region": "here"}
    with pytest.raises(TypeError, match="storage_options"):
        DurableCheckpointIO().save_checkpoint({"state_dict": {}}, tmp_path / "last.ckpt", options)
    assert list(tmp_path.iterdir()) == []


class OwnWriter(SingleDeviceStrategy):
    """Write checkpoints without the IO, and refuse its options, as DeepSpeed's and FSDP's strategies do."""

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        if storage_options is not None:
            raise TypeError("storage_options are not supported")
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, filepath)


def test_a_strategy_that_writes_without_the_io_is_given_no_options(tmp_path: Path) -> None:
    module = Line()
    trainer = Trainer(
        default_root_dir=tmp_path, logger=False, strategy=OwnWriter(torch.device("cpu")), max_epochs=2,
        plugins=[DurableCheckpointIO()], callbacks=[DurableCheckpoint(monitor=None)], enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader(), loader())
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert saved["epoch"] == 1


@pytest.mark.parametrize("strategy", [DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy])
def test_lightnings_sharding_strategies_write_without_the_io(strategy: type[Strategy]) -> None:
    assert strategy.save_checkpoint is not Strategy.save_checkpoint
