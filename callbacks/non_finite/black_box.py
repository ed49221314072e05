"""Stop at the first value that is not finite, say where it was made, and keep what is needed to repeat the step."""

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.gradients.measure import scaler_of, total_norm
from callbacks.non_finite.file import write_black_box
from callbacks.non_finite.trace import Fault, bad_value, tensors_in, trace_step
from foundation.errors import UserError
from foundation.random_streams import random_state
from foundation.trial_fit import trainer_options
from lightning_modules.optimizers.taken_steps import drop_step, keep_steps


class NonFiniteError(UserError):
    """A loss, gradient, activation or weight is not finite; the message says where it was made first."""


class BlackBox(Callback):
    """Watch for NaN and infinity in loss and gradients before each optimizer step, in weights before each save.

    At the first one the step is repeated on a copy with every module watched. The run ends with the name of the module
    or parameter, the weights as they were before the step; or the step is left out, buffers restored: with Descent's
    modules the schedule then does not advance. `black_box.pt` in the run's folder holds the batches, weights and random
    streams of the first time: `descent replay FILE` reproduces it. A checkpoint with weights that are not finite is
    never written, so the last one on the disk is good.

    Under a gradient scaler gradients overflow now and then, and the scaler leaves such steps out; they count only when
    the scale is below 1, so that no scaling can be the cause.

    It asks the device once an optimizer step. Nothing in the run is changed: it ends with the same bits.

    Args:
        action: `stop` the run, or `skip` the step and go on.
        activations: Also look at the output of every layer, for what never reaches the loss. Costs a pass over each.
        path: Of the file; by default `black_box.pt` in the run's folder.

    Raises:
        ValueError: `action` is neither.
        NonFiniteError: Something is not finite.
    """

    def __init__(
        self, action: Literal["stop", "skip"] = "stop", activations: bool = False, path: str | Path | None = None
    ) -> None:
        if action not in ("stop", "skip"):
            raise ValueError(f"action must be stop or skip, got {action!r}.")
        self.action, self.activations, self.path = action, activations, path
        self.faults: list[tuple[int, Fault | None]] = []
        """Step and fault of each time."""
        self._window: list[Any] = []
        self._random: list[dict[str, Any]] = []
        self._buffers: dict[str, Tensor] = {}
        self._losses: list[Tensor] = []
        self._finite: list[Tensor] = []
        self._hooks: list[Any] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Come after those that reseed (ExactResume), and before those that save."""
        others = [callback for callback in trainer.callbacks if callback is not self]  # type: ignore[attr-defined]
        savers = [index for index, callback in enumerate(others) if isinstance(callback, Checkpoint)]
        place = savers[0] if savers else len(others)
        trainer.callbacks = [*others[:place], self, *others[place:]]  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with nothing; listen to the layers if asked."""
        self._forget()
        self._stop_listening()
        if self.activations:
            layers = [layer for layer in pl_module.modules() if not list(layer.children())]
            self._hooks = [layer.register_forward_hook(self._see) for layer in layers]

    def _see(self, layer: nn.Module, arguments: Any, output: Any) -> None:
        if layer.training:
            self._finite += [torch.isfinite(t.detach()).all() for t in tensors_in(output) if t.is_floating_point()]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember how this batch began."""
        self._keep_steps(trainer)
        if not self._window:
            self._buffers = {name: buffer.detach().clone() for name, buffer in pl_module.named_buffers()}
        self._window.append(batch)
        self._random.append(random_state())

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Remember the loss."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look, once, before anything is clipped or changed."""
        self._keep_steps(trainer)
        if not self._losses:
            return
        forward = torch.isfinite(torch.stack([loss.float() for loss in self._losses])).all()
        for seen in self._finite:
            forward = forward & seen
        norm = total_norm(optimizer)
        bad = torch.stack([~forward, ~torch.isfinite(norm)]).float()
        if trainer.world_size > 1:  # all processes must do the same
            bad = trainer.strategy.reduce(bad, reduce_op="sum")  # type: ignore[assignment]
        in_forward, in_backward = (bool(number) for number in bad.tolist())
        scaler = scaler_of(trainer)
        if in_forward or (in_backward and (scaler is None or scaler.get_scale() < 1)):
            self._found(trainer, pl_module, optimizer, norm)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A new window begins after a step."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch:
            self._forget()

    def _keep_steps(self, trainer: Trainer) -> None:
        if self.action == "skip":
            for optimizer in trainer.optimizers:
                keep_steps(optimizer)

    def _forget(self) -> None:
        self._window, self._random, self._losses, self._finite = [], [], [], []

    # -- found ---------------------------------------------------------------------------------------------------------

    def _found(self, trainer: Trainer, module: LightningModule, optimizer: Optimizer, norm: Tensor) -> None:
        self._stop_listening()
        options = trainer_options(trainer)
        options.pop("limit_train_batches", None)
        fault = trace_step(module, self._window, self._random, self._buffers, options)
        self.faults.append((trainer.global_step, fault))
        path = self._path(trainer)  # asks every process
        if len(self.faults) == 1:
            self._write(path, trainer, module, fault)
        what, path = _of_all(trainer, str(fault or ""), path)
        text = f"step {trainer.global_step + 1}, epoch {trainer.current_epoch + 1}: {what}"
        if self.action == "stop":
            raise NonFiniteError(
                f"{text}. The weights are those from before the step. Repeat it: descent replay {path}"
            )
        again = f" Repeat it: descent replay {path}" if len(self.faults) == 1 else ""
        rank_zero_warn(f"{text}; the step is left out.{again}")
        drop_step(optimizer, norm)
        for name, buffer in module.named_buffers():
            buffer.copy_(self._buffers[name])
        self.on_train_start(trainer, module)

    def _path(self, trainer: Trainer) -> Path:
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        rank = f"-rank{trainer.global_rank}" if trainer.world_size > 1 else ""
        return Path(self.path) if self.path else folder / f"black_box{rank}.pt"

    def _write(self, path: Path, trainer: Trainer, module: LightningModule, fault: Fault | None) -> None:
        config = Path(trainer.log_dir or trainer.default_root_dir) / "config.yaml"
        scaler = scaler_of(trainer)
        write_black_box(
            path,
            {
                "fault": fault,
                "step": trainer.global_step,
                "epoch": trainer.current_epoch,
                "batches": self._window,
                "random": self._random,
                "buffers": self._buffers,
                "state_dict": module.state_dict(),
                "precision": str(trainer.precision),
                "scale": None if scaler is None else scaler.get_scale(),
                "accumulate_grad_batches": trainer.accumulate_grad_batches,
                "num_classes": getattr(module, "num_classes", None),
                "config": config.read_text() if config.is_file() else None,
            },
        )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to save weights that are not finite."""
        for name, tensor in checkpoint["state_dict"].items():
            if isinstance(tensor, Tensor) and (value := bad_value(tensor)):
                raise NonFiniteError(
                    f"step {trainer.global_step}: {value} in the weights {name} after the step, with a finite loss and "
                    "gradient: the learning rate is too high. Nothing was saved; the checkpoint before is good."
                )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave layers and optimizers alone again."""
        self._keep_steps(trainer)
        self._stop_listening()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave layers and optimizers alone again."""
        self._keep_steps(trainer)
        self._stop_listening()

    def _stop_listening(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _of_all(trainer: Trainer, fault: str, path: Path) -> tuple[str, Path]:
    """What the first process that found something found, and the file it wrote; every process says the same."""
    found = [(fault, str(path))]
    if trainer.world_size > 1:
        found = [trainer.strategy.broadcast(found[0], src=rank) for rank in range(trainer.world_size)]
    for rank, (text, file) in enumerate(found):
        if text:
            return (f"process {rank}: {text}" if trainer.world_size > 1 else text), Path(file)
    return "not finite, but finite when repeated", path
