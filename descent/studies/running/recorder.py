"""A callback that records one run of a study: scores, training time without validation, time per phase of a step."""

import hashlib
import math
import time
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.non_finite.values import tensors_in
from foundation.errors import UserError
from foundation.metrics.names import by_canonical_name, canonical

NO_VALIDATION = (
    "there is no validation data, by which a study chooses. Give the data a validation set (val_share), leave "
    "trainer.limit_val_batches above 0, and validate within the run (trainer.check_val_every_n_epoch)."
)
PHASES = ("data", "forward", "backward", "step")


class StudyError(UserError):
    """A mistake in the study as a whole, not in one candidate: it ends the study."""


class StopRule(NamedTuple):
    """When a run is stopped because it cannot be the best one of its tuning."""

    after: int
    """Number of the validation at which it is judged, from 1."""
    bound: float
    """A score that is worse stops the run."""
    larger_is_better: bool

    def stops(self, scores: list[float]) -> bool:
        """Tell whether a run with these scores so far is stopped."""
        if len(scores) != self.after:
            return False
        return scores[-1] < self.bound if self.larger_is_better else scores[-1] > self.bound


class Recorder(Callback):
    """Record a run.

    The clock starts with training and pauses during validation. If the training loss or the score is not finite at a
    validation, the run stops there and counts as diverged.

    Args:
        metric: The validation metric, e.g. `val/accuracy`.
        rule: When to stop the run before its end; `None` for never.

    Attributes:
        steps: Optimizer steps at each validation.
        seconds: Seconds of training at each validation.
        scores: The metric at each validation.
        train_scores: The same metric on the training data, per epoch, if the module logs it.
        train_losses: Mean training loss since the previous validation.
        split: Seconds per phase of a step, measured on the host; an accelerator works asynchronously.
        weights: Fingerprint of the initial weights.
        batches: Fingerprint of the first batch.
        bytes_per_parameter: Size of the optimizer's state.
        stopped: Whether the rule stopped the run.
    """

    def __init__(self, metric: str, rule: StopRule | None = None) -> None:
        self.metric, self.rule, self.stopped = metric, rule, False
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

    # -- clock ---------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that there is validation data; start the clock."""
        if not trainer.enable_validation:
            raise StudyError(NO_VALIDATION)
        self.weights = fingerprint(pl_module.parameters())
        self._resumed = self._mark = _now(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pause the clock."""
        self._elapsed += _now(trainer) - self._resumed

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record score and training loss; resume the clock."""
        value = trainer.callback_metrics.get(self.metric)
        if value is None:
            known = sorted(name for name in trainer.callback_metrics if canonical(name).startswith("val/"))
            raise StudyError(f"unknown metric {self.metric}: the validation logs {', '.join(known) or 'nothing'}.")
        self.steps.append(trainer.global_step)
        self.seconds.append(self._elapsed)
        self.scores.append(float(value))
        # A module with manual optimization may return no loss: its mean is not known, and does not tell a divergence.
        loss = math.nan if self._loss is None else float(self._loss) / self._count
        self.train_losses.append(loss)
        lost = self._loss is not None and not math.isfinite(loss)
        self._loss, self._count = None, 0
        if lost or not math.isfinite(self.scores[-1]):
            self.diverged = trainer.should_stop = True
        elif self.rule is not None and self.rule.stops(self.scores):
            self.stopped = trainer.should_stop = True
        self._resumed = self._mark = _now(trainer)

    # -- phases of a step ----------------------------------------------------------------------------------------------

    def _phase(self, name: str) -> None:
        now = time.perf_counter()
        self.split[name] += now - self._mark
        self._mark = now

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End the phase `data`."""
        if not self.batches:
            self.batches = fingerprint(tensors_in(batch))
        self._phase("data")

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """End the phase `forward`."""
        self._phase("forward")

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the phase `backward`."""
        self._phase("backward")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the phase `step`; add the loss, on the device."""
        self._phase("step")
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
            self._count += 1

    # -- end of epoch and run ------------------------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the last epoch's means: the module logs them after this callback's hook at the end of the epoch."""
        if trainer.current_epoch:
            self._record_training_score(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the means of the last epoch and the size of the optimizer's state."""
        if not self.scores:  # the loader is empty, or the run is shorter than check_val_every_n_epoch
            raise StudyError(NO_VALIDATION)
        self._record_training_score(trainer)
        states = [value for o in trainer.optimizers for state in o.state.values() for value in state.values()]
        size = sum(value.numel() * value.element_size() for value in states if isinstance(value, Tensor))
        parameters = sum(p.numel() for p in pl_module.parameters() if p.requires_grad)
        self.bytes_per_parameter = size / parameters if parameters else None

    def _record_training_score(self, trainer: Trainer) -> None:
        known = by_canonical_name(trainer.callback_metrics)
        name = known.get(canonical(self.metric).replace("val/", "train/", 1), "")
        value = trainer.callback_metrics.get(name)
        self.train_scores.append(math.nan if value is None else float(value))


def fingerprint(tensors: Any) -> str:
    """Return a hash of twelve hexadecimal digits, by which two runs can be seen to start from the same values."""
    digest = hashlib.blake2b(digest_size=6)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _now(trainer: Trainer) -> float:
    """Return the time after all work of the device is done; called at the start and at each validation only."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()
