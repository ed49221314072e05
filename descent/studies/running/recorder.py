"""A callback that watches one run of a study: its curve, its clock without evaluation, where the time goes."""

import hashlib
import math
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from foundation.errors import UserError

NO_VALIDATION = (
    "there is no validation data: a study chooses by it. Give the data a validation set (val_share), leave "
    "trainer.limit_val_batches above 0, and validate within the run (trainer.check_val_every_n_epoch)."
)
PHASES = ("data", "forward", "backward", "step")


class StudyError(UserError):
    """What is wrong with the study and not with one candidate: it ends the study."""


class Recorder(Callback):
    """Records a run.

    The clock runs from the start of training and stands still during validation. A run whose training loss is no longer
    finite is stopped at the next validation.

    Args:
        metric: Of the validation, e.g. `val/accuracy`.

    Attributes:
        steps: Optimizer steps at each validation.
        seconds: Seconds of training at each validation.
        scores: The metric there.
        train_scores: The same metric on the training data by epoch, where the module logs it.
        train_losses: Mean loss of the batches since the validation before.
        split: Seconds by phase of a step; on an accelerator, which works asynchronously, as the host sees it.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.steps: list[int] = []
        self.seconds: list[float] = []
        self.scores: list[float] = []
        self.train_scores: list[float] = []
        self.train_losses: list[float] = []
        self.split = dict.fromkeys(PHASES, 0.0)
        self.diverged = False
        self.weights = self.batches = ""
        self.bytes_per_parameter: float | None = None
        self._elapsed = self._resumed = self._mark = 0.0
        self._loss: Tensor | None = None
        self._count = 0

    # -- the clock -----------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that there is something to validate on; start the clock."""
        if not trainer.enable_validation:
            raise StudyError(NO_VALIDATION)
        self.weights = fingerprint(pl_module.parameters())
        self._resumed = self._mark = _now(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._elapsed += _now(trainer) - self._resumed

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the score; start the clock again."""
        value = trainer.callback_metrics.get(self.metric)
        if value is None:
            known = sorted(name for name in trainer.callback_metrics if name.startswith("val/"))
            raise StudyError(f"unknown metric {self.metric}: the validation logs {', '.join(known) or 'nothing'}.")
        self.steps.append(trainer.global_step)
        self.seconds.append(self._elapsed)
        self.scores.append(float(value))
        loss = float(self._loss) / max(self._count, 1) if self._loss is not None else math.nan
        self.train_losses.append(loss)
        self._loss, self._count = None, 0
        if not math.isfinite(loss) or not math.isfinite(self.scores[-1]):
            self.diverged = trainer.should_stop = True
        self._resumed = self._mark = _now(trainer)

    # -- where the time goes -------------------------------------------------------------------------------------------

    def _phase(self, name: str) -> None:
        now = time.perf_counter()
        self.split[name] += now - self._mark
        self._mark = now

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Data has come."""
        if not self.batches:
            self.batches = fingerprint(part for part in batch if isinstance(part, Tensor))
        self._phase("data")

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Forward is done."""
        self._phase("forward")

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Backward is done."""
        self._phase("backward")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The step is done; sum the loss on the device."""
        self._phase("step")
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
            self._count += 1

    # -- ends ----------------------------------------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The module logs an epoch's means after this callback's own hook: they are read when the next one starts."""
        if trainer.current_epoch:
            self._note_training(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the last epoch's means, and the size of the optimizer's state."""
        if not self.scores:  # a loader of nothing, or a run shorter than check_val_every_n_epoch
            raise StudyError(NO_VALIDATION)
        self._note_training(trainer)
        states = [value for o in trainer.optimizers for state in o.state.values() for value in state.values()]
        size = sum(value.numel() * value.element_size() for value in states if isinstance(value, Tensor))
        parameters = sum(p.numel() for p in pl_module.parameters() if p.requires_grad)
        self.bytes_per_parameter = size / parameters if parameters else None

    def _note_training(self, trainer: Trainer) -> None:
        value = trainer.callback_metrics.get(self.metric.replace("val/", "train/", 1))
        self.train_scores.append(math.nan if value is None else float(value))


def fingerprint(tensors: Any) -> str:
    """Twelve hexadecimal digits that tell whether two runs started from the same numbers."""
    digest = hashlib.blake2b(digest_size=6)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _now(trainer: Trainer) -> float:
    """Seconds; the device is waited for, at the start and at each validation only."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()
