"""Gradient norms before and after clipping, and a report on the clipping."""

from math import isnan
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from callbacks.gradients.clipping_report import ClippingReport, clipping_report
from callbacks.gradients.measure import (
    clipping_of,
    current_scale,
    layer_norms,
    scaler_of,
    shares_norm,
    total_norm,
    total_norms,
)
from callbacks.gradients.record import NormRecord, Step, means
from foundation.compat.torch import unscales_in_its_step
from lightning_modules.optimizers.clipping import Norms
from lightning_modules.optimizers.taken_steps import dropped_norm, inner

STATE = "gradient_norm"


class GradientNorm(Callback):
    """Measure the norm of the gradients at every optimizer step; log every `log_every_n_steps`.

    The norms are the true ones: unscaled under a gradient scaler, of whole accumulation windows, of all processes. With
    Descent's modules the norm is that which the clipping computes anyway; on any other LightningModule it is measured
    here. Nothing waits for the device except at a log. Nothing in the run is changed: it ends with the same bits.

    | key | what |
    | --- | --- |
    | `grad_norm/total` | mean norm before clipping, over the steps since the last log |
    | `grad_norm/max` | the largest of them |
    | `grad_norm/clipped` | mean norm after clipping, over the steps that were taken; where there is clipping |
    | `grad_norm/clipped_share` | share of those steps that were clipped; likewise |
    | `grad_norm/nonfinite` | how many norms since the last log were infinite or NaN; the means leave them out |
    | `grad_norm/skipped` | steps left out so far, by the gradient scaler or by a `BlackBox` |
    | `grad_norm/scale` | the gradient scaler's scale |
    | `grad_norm/layer/<name>`, `grad_norm/layer_clipped/<name>` | with `by_layer`: at the logged step |

    With several optimizers the keys are `grad_norm/<number>/…`. In manual optimization `total` is the norm with which
    the optimizer is called, hence after a clipping by hand; a `GAN` clips later, so that its `total` is from before.

    At the end a report says how the norms were spread, what share was clipped, and which threshold would fit, on the
    terminal and in `clipping.txt` in the run's folder.

    Args:
        by_layer: Also log the norm of each layer's own parameters.
        report: Whether to report at the end.
    """

    def __init__(self, by_layer: bool = False, report: bool = True) -> None:
        self.by_layer, self.report = by_layer, report
        self.batches = 0  # on which an optimizer was stepped, as the trainer's logging counts
        self.records: list[NormRecord] = []
        self._hooks: list[Any] = []
        self._clipping, self._shared, self._scaled = "none", False, False

    # -- measuring -----------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to the optimizers where only they know: what a scaler skips, what else clips."""
        self._stop_listening()
        if len(self.records) != len(trainer.optimizers):
            self.records = [NormRecord() for _ in trainer.optimizers]
            counted = getattr(pl_module, "counted_optimizers", len(trainer.optimizers))
            self.batches = trainer.global_step // max(counted, 1)
        self._clipping = clipping_of(trainer, pl_module)[0]
        self._shared = shares_norm(pl_module) and len(self.records) == 1
        self._scaled = scaler_of(trainer) is not None
        if self._scaled or self._clipping == "other":
            for optimizer, record in zip(trainer.optimizers, self.records, strict=True):
                self._hooks.append(optimizer.register_step_post_hook(self._when_stepped(pl_module, record)))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure before the clipping, unless the module does."""
        step = Step(scale=current_scale(trainer, pl_module.device) if self._scaled else None)
        if not self._shared:
            _note_norms(step, total_norms(optimizer, self._clipping == "norm"), optimizer)
        if self.by_layer and self._logs_now(trainer):
            norms = layer_norms(pl_module, optimizer)
            step.layers = {name: _unscaled(norm, step, optimizer) for name, norm in norms.items()}
        self._record_of(trainer, optimizer).open = step

    def _when_stepped(self, module: LightningModule, record: NormRecord) -> Any:
        def stepped(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            step = record.open
            if step is None:
                return
            overflow = getattr(optimizer, "found_inf", None)  # set only while a scaler calls a fused step
            skipped = False if overflow is None else overflow.detach().clone().reshape(())
            if self._clipping == "other":
                step.after = total_norm(optimizer)  # a fused step has unscaled the gradients by now, in place
                step.layers_after = layer_norms(module, optimizer) if step.layers else {}
            self._finish(module, optimizer, record, skipped)

        return stepped

    def _finish(
        self, module: LightningModule, optimizer: Optimizer, record: NormRecord, skipped: Tensor | bool
    ) -> None:
        step, record.open = record.open, None
        assert step is not None
        dropped = dropped_norm(optimizer)
        step.skipped = skipped if dropped is None else True
        if dropped is not None:
            step.before = _unscaled(dropped, step, optimizer)
        elif self._shared:
            assert isinstance(module.grad_norm, Tensor)
            divisor = getattr(module, "clip_divisor", None)
            _note_norms(step, Norms(module.grad_norm, module.grad_norm if divisor is None else divisor), optimizer)
        record.waiting.append(step)

    def _record_of(self, trainer: Trainer, optimizer: Any) -> NormRecord:
        if len(self.records) == 1:
            return self.records[0]
        own = inner(optimizer)
        return next(r for o, r in zip(trainer.optimizers, self.records, strict=True) if o is own)

    # -- logging -------------------------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log when the trainer does."""
        for number, record in enumerate(self.records):
            if record.open is not None:  # nobody listened; or the scaler did not call the optimizer
                self._finish(pl_module, trainer.optimizers[number], record, skipped=self._scaled)
        if (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch:
            return  # in the midst of an accumulation window: no step, and the trainer does not log
        due = self._logs_now(trainer)
        self.batches += 1
        if due:
            self._read(trainer, pl_module)
            pl_module.log_dict(self._logged(), on_step=True, on_epoch=False)

    def _logs_now(self, trainer: Trainer) -> bool:
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        return bool(every) and (self.batches + 1) % every == 0

    def _read(self, trainer: Trainer, module: LightningModule) -> None:
        kind, clip = clipping_of(trainer, module)
        for record in self.records:
            record.read(clip, unclipped=kind == "none")

    def _logged(self) -> dict[str, float]:
        """The table's keys since the last log, which is now."""
        logged: dict[str, float] = {}
        for index, record in enumerate(self.records):
            steps, record.since_log = record.since_log, []
            if not steps:
                continue
            values = means(steps, clipping=self._clipping != "none")
            values |= {f"layer/{name}": norm for name, norm in steps[-1].layers.items()}
            values |= {f"layer_clipped/{name}": norm for name, norm in steps[-1].layers_after.items()}
            if record.skipped or not isnan(steps[-1].scale):
                values["skipped"] = float(record.skipped)
            if not isnan(steps[-1].scale):
                values["scale"] = steps[-1].scale
            prefix = "grad_norm" if len(self.records) == 1 else f"grad_norm/{index}"
            logged |= {f"{prefix}/{name}": value for name, value in values.items()}
        return logged

    # -- the end -------------------------------------------------------------------------------------------------------

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report."""
        folder = trainer.log_dir  # asks every process
        self._stop_listening()
        self._read(trainer, pl_module)
        if not (self.report and trainer.is_global_zero):
            return
        lines = [line for report in self.reports(trainer, pl_module) if report.steps for line in report.lines()]
        if lines:
            print("\n".join(lines))
        if lines and folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            Path(folder, "clipping.txt").write_text("\n".join(lines) + "\n")

    def reports(self, trainer: Trainer, pl_module: LightningModule) -> list[ClippingReport]:
        """What each optimizer's norms say about the clipping."""
        clip = clipping_of(trainer, pl_module)[1]
        return [clipping_report(record.norms, record.clipped, clip) for record in self.records]

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the optimizers alone again."""
        self._stop_listening()

    def _stop_listening(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the norms so far, so that a resumed run reports on all of it."""
        self._read(trainer, pl_module)
        records = [record.state_dict() for record in self.records]
        checkpoint[STATE] = {"batches": self.batches, "records": records}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on from there."""
        state = checkpoint.get(STATE, {"batches": 0, "records": []})
        self.batches, self.records = state["batches"], [NormRecord() for _ in state["records"]]
        for record, saved in zip(self.records, state["records"], strict=True):
            record.load_state_dict(saved)


def _note_norms(step: Step, norms: Norms, optimizer: Optimizer) -> None:
    step.before = _unscaled(norms.true.detach(), step, optimizer)
    if norms.divisor is not norms.true:
        step.divisor = _unscaled(norms.divisor.detach(), step, optimizer)


def _unscaled(norm: Tensor, step: Step, optimizer: Optimizer) -> Tensor:
    """The true norm where the gradients still carry the scaler's scale."""
    return norm / step.scale if step.scale is not None and unscales_in_its_step(optimizer) else norm
