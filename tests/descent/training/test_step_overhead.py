"""What our Trainer leaves out of a step: empty hooks, and a repeated check for a GPU."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.profilers import SimpleProfiler

from descent.training import step_overhead
from descent.training.step_overhead import STEP_HOOKS, NoProfiler
from descent.training.trainer import Trainer
from tests.callbacks.inside_case import classifier, data


class Watching(Callback):
    """A callback with one hook in its class and one set on the object, which counts calls."""

    def __init__(self, fail: bool = False) -> None:
        self.fail, self.ended, self.set_on_it = fail, 0, 0
        self.asked: list[str | None] = []
        self.on_after_backward = self.count  # type: ignore[method-assign, assignment]

    def count(self, *args: Any) -> None:
        self.set_on_it += 1

    def on_train_batch_end(self, *args: Any) -> None:
        self.ended += 1
        self.asked.append(os.environ.get(step_overhead.SWITCH))
        assert not callable(self.on_before_backward)
        if self.fail:
            raise RuntimeError("in the middle of a step")


def trainer_with(folder: Path, watching: Callback, **options: Any) -> Trainer:
    off: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=0,
        callbacks=[watching],
        **off,
        **options,
    )


def test_defined_hooks_are_called_and_all_hooks_exist_afterwards(tmp_path: Path) -> None:
    watching = Watching()
    trainer_with(tmp_path, watching).fit(classifier(), data())
    assert (watching.ended, watching.set_on_it) == (2, 2)
    assert all(callable(getattr(watching, name)) for name in STEP_HOOKS)
    assert vars(watching).keys() & set(STEP_HOOKS) == {"on_after_backward"}


def test_all_hooks_exist_after_an_exception(tmp_path: Path) -> None:
    watching, before = Watching(fail=True), os.environ.get(step_overhead.SWITCH)
    with pytest.raises(RuntimeError, match="middle of a step"):
        trainer_with(tmp_path, watching).fit(classifier(), data())
    assert callable(watching.on_before_backward)
    assert os.environ.get(step_overhead.SWITCH) == before


@pytest.mark.parametrize(("gpus", "during"), [(0, None), (1, "1")])
def test_nvml_is_used_where_there_is_a_gpu(
    gpus: int, during: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(step_overhead.SWITCH, "1")
    monkeypatch.setattr(step_overhead, "num_cuda_devices", lambda: gpus)
    watching = Watching()
    trainer_with(tmp_path, watching).fit(classifier(), data())
    assert watching.asked == [during, during]
    assert os.environ[step_overhead.SWITCH] == "1"


def test_a_configured_profiler_is_used(tmp_path: Path) -> None:
    chosen = SimpleProfiler()
    assert trainer_with(tmp_path, Watching(), profiler=chosen).profiler is chosen  # type: ignore[attr-defined]
    assert isinstance(trainer_with(tmp_path, Watching()).profiler, NoProfiler)  # type: ignore[attr-defined]


def test_weights_equal_those_of_lightnings_trainer(tmp_path: Path) -> None:
    from lightning.pytorch import Trainer as LightningTrainer

    trained = []
    for kind in (LightningTrainer, Trainer):
        torch.manual_seed(0)
        module = classifier()
        off: dict[str, Any] = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
        )
        kind(default_root_dir=tmp_path, accelerator="cpu", max_epochs=1, limit_train_batches=4, **off).fit(
            module, data()
        )
        trained.append(module.state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
