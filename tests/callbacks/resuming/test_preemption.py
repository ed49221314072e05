"""Signals during a fit: the checkpoint is saved, the exit code is right, a resume gives the same bits."""

import builtins
import signal
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from callbacks import DurableCheckpoint, DurableCheckpointIO, Preemption
from callbacks.checkpointing.difference import differences, meaningful
from tests.callbacks.resuming.resume_case import Case, data, fit, trainer_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Signal(Callback):
    """Sends this process a signal in a hook of a batch."""

    def __init__(self, number: signal.Signals, hook: str, epoch: int, batch: int, times: int = 1) -> None:
        self.number, self.epoch, self.batch, self.times = number, epoch, batch, times
        setattr(self, hook, self.hit)

    def hit(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        batch = args[1] if len(args) == 2 else args[2] if len(args) > 2 else -1
        if not trainer.sanity_checking and trainer.current_epoch == self.epoch and batch in (self.batch, -1):
            for _ in range(self.times):
                signal.raise_signal(self.number)


def ended(folder: Path, sender: Signal, **flags: Any) -> int:
    with pytest.raises(SystemExit) as caught:
        fit(folder, 1, DurableCheckpoint(), extra=[sender, Preemption()], **flags)
    return int(str(caught.value.code))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("hook", "batch", "step", "flags"),
    [
        ("on_train_batch_start", 2, 10, {}),
        ("on_train_batch_end", 6, 14, {}),  # an epoch's last batch
        ("on_validation_start", -1, 15, {}),
        ("on_train_batch_start", 2, 6, {"accumulate_grad_batches": 2}),  # an open window
        ("on_train_epoch_end", -1, 15, {}),
    ],
)
def test_saved_and_resumed(
    tmp_path: Path, number: signal.Signals, hook: str, batch: int, step: int, flags: dict[str, Any]
) -> None:
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert ended(tmp_path / "run", Signal(number, hook, 1, batch), **flags) == 128 + number
    last = tmp_path / "run/checkpoints/last.ckpt"
    resumed = fit(tmp_path / "run", 99, DurableCheckpoint(), last, **flags)
    whole = fit(tmp_path / "whole", 1, DurableCheckpoint(), **flags)
    assert not meaningful(differences(whole, resumed))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


def test_it_saves_after_the_running_step(tmp_path: Path) -> None:
    ended(tmp_path, Signal(signal.SIGTERM, "on_train_batch_start", 1, 2))
    saved = DurableCheckpointIO().load_checkpoint(tmp_path / "checkpoints/last.ckpt")
    assert (saved["epoch"], saved["global_step"]) == (1, 10)


def test_second_signal_exits_at_once(tmp_path: Path) -> None:
    assert ended(tmp_path, Signal(signal.SIGTERM, "on_train_batch_start", 1, 2, times=2)) == 143
    saved = DurableCheckpointIO().load_checkpoint(tmp_path / "checkpoints/last.ckpt")
    assert saved["global_step"] == 7  # of the epoch before


def test_a_signal_before_training_exits_at_once(tmp_path: Path) -> None:
    class InSanityCheck(Callback):
        def on_validation_batch_start(self, *args: Any) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as caught:
        fit(tmp_path, 1, DurableCheckpoint(), extra=[InSanityCheck(), Preemption()])
    assert caught.value.code == 143


def test_ctrl_c_in_a_notebook_stops_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background
    stopped = fit(
        tmp_path / "run",
        1,
        DurableCheckpoint(),
        extra=[Signal(signal.SIGINT, "on_train_batch_start", 1, 2), Preemption()],
    )
    assert stopped["global_step"] == 11
    assert signal.getsignal(signal.SIGINT) is before
    resumed = fit(tmp_path / "run", 99, DurableCheckpoint(), tmp_path / "run/checkpoints/last.ckpt")
    assert not meaningful(differences(fit(tmp_path / "whole", 1, DurableCheckpoint()), resumed))


def test_slurm_requeues_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f"#!/bin/sh\necho $* > {tmp_path}/asked\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(scontrol.parent), prepend=":")
    for name, value in {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "3"}.items():
        monkeypatch.setenv(name, value)
    assert ended(tmp_path / "run", Signal(signal.SIGUSR1, "on_train_batch_start", 1, 2)) == 128 + signal.SIGUSR1
    assert (tmp_path / "asked").read_text() == "requeue 16_3\n"


def test_a_missing_scontrol_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with pytest.warns(UserWarning, match="The job 17 is saved, but not back in the queue"):
        ended(tmp_path / "run", Signal(signal.SIGUSR1, "on_train_batch_start", 1, 2))


def test_a_missing_checkpoint_callback_warns(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, ModelCheckpoint(), extra=[Preemption()], max_epochs=1)
    with pytest.warns(UserWarning, match="nothing to save with: add callbacks.DurableCheckpoint"):
        trainer.fit(Case(), data())


def test_arguments() -> None:
    with pytest.raises(ValueError, match="slurm_signal must be the name of a signal such as SIGUSR1, got 'USR1'"):
        Preemption("USR1")


def test_a_handler_that_python_does_not_know_is_replaced_by_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`signal.signal` returns None for one that a library set."""
    before = signal.getsignal(signal.SIGTERM)
    callback = Preemption()
    callback.old_handlers = {signal.SIGTERM: None}
    try:
        callback._restore_handlers()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


class Asks(Callback):
    """Asks in each batch as Lightning does with several processes."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor()


def test_lightning_does_not_ask_the_processes_for_a_signal_in_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its question stops a GPU twice in a step; Preemption has its own, which does not."""
    asked: list[int] = []
    monkeypatch.setattr(_TrainingEpochLoop, "_broadcast_sigterm_tensor", lambda loop: asked.append(1))
    trainer = trainer_of(tmp_path, Preemption(), [Asks()], limit_val_batches=0, max_epochs=1)
    trainer.fit(Case(), data())
    assert not asked
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor()
    assert asked, "a later fit without Preemption would not see the signal"
