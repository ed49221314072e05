"""Stop at the first NaN or infinity, name its origin, and save the step so that it can be repeated."""

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.checkpointing.metadata import config_of_run
from callbacks.gradients.measure import scaler_of, total_norm
from callbacks.non_finite.record import (
    NOT_HERE,
    known_values,
    message,
    never_finite,
    record_batch,
    starts_step,
    updates_weights,
)
from callbacks.non_finite.replay import write_black_box
from callbacks.non_finite.trace import NonFiniteOrigin, RecordedStep, trace_step
from callbacks.non_finite.values import non_finite, tensors_in
from foundation.argument_checks import require_choice
from foundation.compat.lightning_loops import batch_from_iterator
from foundation.compat.torch import leave_unscaling_to_the_scaler
from foundation.errors import UserError
from foundation.loggers import report_path, run_folder
from foundation.trial.fit import trainer_options
from foundation.trial.world import World
from lightning_modules.optimizers.taken_steps import drop_step, keep_steps


class NonFiniteError(UserError):
    """A loss, gradient, activation or weight is not finite; the message names its origin."""


class BlackBox(Callback):
    """Check loss and gradients for NaN and infinity before each optimizer step, and weights before each save.

    When one is found, the step is repeated on a copy with a hook on every module. Then the run stops with the name of
    the module or parameter, its weights being those from before the step. Or the step is skipped and the buffers are
    restored; with Descent's modules the schedule does not advance then. `black_box.pt` in the run's folder holds the
    batches, weights and random streams of the first such step, and `descent replay FILE` repeats it. A checkpoint with
    non-finite weights is never written, so the last one on the disk is good.

    With a gradient scaler, gradients overflow now and then and the scaler skips these steps. They are reported only if
    the scale is below 1, where scaling cannot be the cause.

    The check waits for the device once an optimizer step and does not change the run's results.

    Args:
        action: `stop` the run, or `skip` the step and continue.
        activations: Also check every layer's output, for values that do not reach the loss; a pass over each output.
        path: Of the file; by default `black_box.pt` in the run's folder.

    Raises:
        ValueError: `action` is neither.
        NonFiniteError: A value is not finite.
    """

    def __init__(
        self, action: Literal["stop", "skip"] = "stop", activations: bool = False, path: str | Path | None = None
    ) -> None:
        require_choice("action", action, ("stop", "skip"))
        self.action, self.activations, self.path = action, activations, path
        self.found: list[tuple[int, NonFiniteOrigin | None]] = []
        """Optimizer step and origin of each non-finite step."""
        self._step = RecordedStep()
        self._losses: list[Tensor] = []
        self._finite: list[Tensor] = []
        self._hooks: list[Any] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Move behind callbacks that reseed (ExactResume) and before those that save."""
        others = [callback for callback in trainer.callbacks if callback is not self]  # type: ignore[attr-defined]
        savers = [index for index, callback in enumerate(others) if isinstance(callback, Checkpoint)]
        place = savers[0] if savers else len(others)
        trainer.callbacks = [*others[:place], self, *others[place:]]  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Clear the record; hook the layers if `activations`."""
        self._clear()
        self._remove_hooks()
        self._step.never_finite = never_finite(pl_module)
        if not updates_weights(trainer):
            rank_zero_warn("BlackBox checks nothing: the module has no optimizer, so it takes no optimizer step.")
        if self.action == "skip":  # a fused step with a scaler would ask for the gradients that are gone
            for optimizer in trainer.optimizers:
                leave_unscaling_to_the_scaler(optimizer)
        if self.activations:
            layers = [layer for layer in pl_module.modules() if not list(layer.children())]
            layers = [layer for layer in layers if not isinstance(layer, torch.jit.ScriptModule)]  # takes no hooks
            self._hooks = [layer.register_forward_hook(self._check_output) for layer in layers]

    def _check_output(self, layer: nn.Module, arguments: Any, output: Any) -> None:
        if layer.training:
            self._finite += [torch.isfinite(t.detach()).all() for t in tensors_in(output) if t.is_floating_point()]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Record batch, random streams and, at the start of a window, the buffers."""
        self._keep_steps(trainer)
        if starts_step(self._step, trainer, pl_module):
            self._clear()
        record_batch(self._step, trainer, pl_module, batch, batch_idx)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Record the loss."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Check losses, outputs and gradients before clipping changes them."""
        self._keep_steps(trainer)
        if not self._losses:
            return
        forward = torch.isfinite(torch.stack([loss.float() for loss in self._losses])).all()
        for finite in self._finite:
            forward = forward & finite
        norm = total_norm(optimizer)
        counts = torch.stack([~forward, ~torch.isfinite(norm)]).float()
        if trainer.world_size > 1:  # all processes must take the same branch
            counts = trainer.strategy.reduce(counts, reduce_op="sum")  # type: ignore[assignment]
        in_forward, in_backward = (bool(number) for number in counts.tolist())
        scaler = scaler_of(trainer)
        if in_forward or (in_backward and (scaler is None or scaler.get_scale() < 1)):
            self._handle(trainer, pl_module, optimizer, norm)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Clear the record after each accumulation window; a module that accumulates by hand may need more batches."""
        closed = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        if closed and pl_module.automatic_optimization:
            self._clear()

    def _keep_steps(self, trainer: Trainer) -> None:
        if self.action == "skip":
            for optimizer in trainer.optimizers:
                keep_steps(optimizer)

    def _clear(self) -> None:
        self._step = RecordedStep(never_finite=self._step.never_finite)
        self._losses, self._finite = [], []

    # -- a non-finite step ---------------------------------------------------------------------------------------------

    def _handle(self, trainer: Trainer, module: LightningModule, optimizer: Optimizer, norm: Tensor) -> None:
        self._remove_hooks()
        known = known_values(self._losses, module, optimizer)
        origin, failure = self._repeat(trainer, module)
        self.found.append((trainer.global_step, origin))
        path = self._path(trainer)  # a broadcast: every process calls it
        if len(self.found) == 1:
            self._write(path, trainer, module, origin)
        what, path = _first_of_ranks(trainer, origin is not None, message(origin, known, failure), path)
        text = f"step {trainer.global_step + 1}, epoch {trainer.current_epoch + 1}: {what}"
        if self.action == "stop":
            of = " of this optimizer" if len(trainer.optimizers) > 1 else ""
            raise NonFiniteError(
                f"{text}. The weights are those from before the step{of}. Repeat it: descent replay {path}"
            )
        again = f" Repeat it: descent replay {path}" if len(self.found) == 1 else ""
        rank_zero_warn(f"{text}; the step is skipped.{again}")
        drop_step(optimizer, norm)
        for name, buffer in module.named_buffers():
            buffer.copy_(self._step.buffers[name])
        self.on_train_start(trainer, module)

    def _repeat(self, trainer: Trainer, module: LightningModule) -> tuple[NonFiniteOrigin | None, str]:
        """Return the origin; and why there is none, if the repeated step failed."""
        step = self._step
        if (fetched := batch_from_iterator(trainer)) is not None:  # the batch that the hook was given is the one before
            step.batches[-1] = fetched
        data = getattr(trainer, "datamodule", None)
        shown = None if data is None else lambda: data
        world = World(trainer, step.epoch, step.step, step.batch_idx, shown, shows_data=True, is_set_up=True)
        try:
            options = trainer_options(trainer)
            options.pop("limit_train_batches", None)
            return trace_step(module, step, options, world), ""
        except Exception as error:  # whatever it is, that the run is not finite must be told
            return None, f"the repeated step failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"

    def _path(self, trainer: Trainer) -> Path:
        folder = run_folder(trainer)
        rank = f"-rank{trainer.global_rank}" if trainer.world_size > 1 else ""
        return Path(self.path) if self.path else report_path(trainer, folder, f"black_box{rank}.pt")

    def _write(self, path: Path, trainer: Trainer, module: LightningModule, origin: NonFiniteOrigin | None) -> None:
        scaler = scaler_of(trainer)
        write_black_box(
            path,
            {
                "fault": origin,
                "step": trainer.global_step,
                "epoch": trainer.current_epoch,
                "recorded": self._step,
                "state_dict": module.state_dict(),
                "precision": str(trainer.precision),
                "scale": None if scaler is None else scaler.get_scale(),
                "accumulate_grad_batches": trainer.accumulate_grad_batches,
                "num_classes": getattr(module, "num_classes", None),
                "config": config_of_run(trainer, run_folder(trainer)),
            },
        )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Raise an error instead of saving non-finite weights."""
        for name, tensor in checkpoint["state_dict"].items():
            if name in self._step.never_finite:
                continue
            if isinstance(tensor, Tensor) and (value := non_finite(tensor)):
                raise NonFiniteError(
                    f"step {trainer.global_step}: {value} in the weights {name} after the step, with a finite loss and "
                    "gradient: the learning rate is too high. Nothing was saved; the checkpoint before is good."
                )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the hooks."""
        self._keep_steps(trainer)
        self._remove_hooks()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hooks."""
        self._keep_steps(trainer)
        self._remove_hooks()

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _first_of_ranks(trainer: Trainer, is_origin: bool, text: str, path: Path) -> tuple[str, Path]:
    """Return what the first rank says that found the origin, else something, and its file; the same on every rank."""
    if trainer.world_size == 1:
        return text, path
    mine = (is_origin, not text.startswith(NOT_HERE), text, str(path))
    found = [trainer.strategy.broadcast(mine, src=rank) for rank in range(trainer.world_size)]
    rank = max(range(len(found)), key=lambda rank: found[rank][:2])  # the first of the largest
    return f"process {rank}: {found[rank][2]}", Path(found[rank][3])
