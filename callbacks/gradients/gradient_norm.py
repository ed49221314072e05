"""Log gradient norms before and after clipping, and report on the clipping at the end."""

from math import isnan
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from callbacks.gradients.clipping_report import ClippingReport, clipping_report
from callbacks.gradients.measure import (
    clipping_of,
    current_scale,
    layer_norms,
    measures_own_norm,
    scaler_of,
    total_norm,
    total_norms,
)
from callbacks.gradients.record import NormRecord, Step, means
from foundation.compat.torch import unscales_in_its_step
from foundation.loggers import is_logging_step, report_path, run_folder
from lightning_modules.base.logged_values import on_host
from lightning_modules.optimizers.clipping import Norms
from lightning_modules.optimizers.taken_steps import dropped_norm, inner

STATE = "gradient_norm"


MOST_UNREAD = 1000
"""Steps after which norms are read from the device, however rarely or never the trainer logs."""


class GradientNorm(Callback):
    """Measure the gradient norm at every optimizer step; log it every `log_every_n_steps`.

    The norm is that of the unscaled gradients, of whole accumulation windows, over all processes. Descent's modules
    compute it for the clipping anyway; for any other LightningModule it is computed here. The callback waits for the
    device only when it logs, and does not change the run's results.

    | key | value |
    | --- | --- |
    | `grad_norm/total` | mean norm before clipping, over the steps since the last log |
    | `grad_norm/max` | the largest of them |
    | `grad_norm/clipped` | with clipping: mean norm after clipping, over the steps that were taken |
    | `grad_norm/clipped_share` | with clipping: share of those steps that were clipped |
    | `grad_norm/nonfinite` | number of infinite or NaN norms since the last log; the means leave them out |
    | `grad_norm/skipped` | number of steps skipped so far, by the gradient scaler or by a `BlackBox` |
    | `grad_norm/scale` | the gradient scaler's scale |
    | `grad_norm/layer/<name>`, `grad_norm/layer_clipped/<name>` | with `by_layer`: at the logged step |

    With several optimizers the keys are `grad_norm/<number>/…`. In manual optimization `total` is the norm when the
    optimizer is called, after clipping by hand; a `GAN` clips later, so its `total` is the norm before clipping.

    At the end a report gives quantiles of the norms, the share of clipped steps and a suggested threshold, on the
    terminal and in `clipping.txt` in the run's folder.

    Args:
        by_layer: Also log the norm of each layer's own parameters.
        report: Whether to report at the end.
    """

    def __init__(self, by_layer: bool = False, report: bool = True) -> None:
        self.by_layer, self.report = by_layer, report
        self.batches = 0  # with an optimizer step, as the trainer counts for logging
        self.records: list[NormRecord] = []
        self._hooks: list[Any] = []
        self._clipping, self._shared, self._scaled = "none", False, False

    # -- measuring -----------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Register hooks on the optimizers where only their steps tell what a scaler skips or other code clips."""
        self._remove_hooks()
        if len(self.records) != len(trainer.optimizers):
            self.records = [NormRecord() for _ in trainer.optimizers]
            counted = getattr(pl_module, "counted_optimizers", len(trainer.optimizers))
            self.batches = trainer.global_step // max(counted, 1)
        self._clipping = clipping_of(trainer, pl_module)[0]
        self._shared = measures_own_norm(pl_module) and len(self.records) == 1
        self._scaled = scaler_of(trainer) is not None
        if self._scaled or self._clipping == "other":
            for optimizer, record in zip(trainer.optimizers, self.records, strict=True):
                self._hooks.append(optimizer.register_step_post_hook(self._after_step(pl_module, record)))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure before the clipping, unless the module measures."""
        step = Step(scale=current_scale(trainer, pl_module.device) if self._scaled else None)
        if not self._shared:
            _set_norms(step, total_norms(optimizer, self._clipping == "norm"), optimizer)
        if self.by_layer and is_logging_step(trainer, self.batches + 1):
            norms = layer_norms(pl_module, optimizer)
            step.layers = {name: _unscaled(norm, step, optimizer) for name, norm in norms.items()}
        self._record_of(trainer, optimizer).current = step

    def _after_step(self, module: LightningModule, record: NormRecord) -> Any:
        def hook(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            step = record.current
            if step is None:
                return
            overflow = getattr(optimizer, "found_inf", None)  # set only while a scaler calls a fused step
            skipped = False if overflow is None else overflow.detach().clone().reshape(())
            if self._clipping == "other":
                step.after = total_norm(optimizer)  # a fused step has unscaled the gradients in place
                step.layers_after = layer_norms(module, optimizer) if step.layers else {}
            self._finish(module, optimizer, record, skipped)

        return hook

    def _finish(
        self, module: LightningModule, optimizer: Optimizer, record: NormRecord, skipped: Tensor | bool
    ) -> None:
        step, record.current = record.current, None
        assert step is not None
        dropped = dropped_norm(optimizer)
        step.skipped = skipped if dropped is None else True
        if dropped is not None:
            step.before = _unscaled(dropped, step, optimizer)
        elif self._shared:
            assert isinstance(module.grad_norm, Tensor)
            divisor = getattr(module, "clip_divisor", None)
            _set_norms(step, Norms(module.grad_norm, module.grad_norm if divisor is None else divisor), optimizer)
        record.unread.append(step)

    def _record_of(self, trainer: Trainer, optimizer: Any) -> NormRecord:
        if len(self.records) == 1:
            return self.records[0]
        own = inner(optimizer)
        return next(r for o, r in zip(trainer.optimizers, self.records, strict=True) if o is own)

    # -- logging -------------------------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log when the trainer logs."""
        for number, record in enumerate(self.records):
            if record.current is not None:  # there is no hook, or the scaler did not call the optimizer
                self._finish(pl_module, trainer.optimizers[number], record, skipped=self._scaled)
        if (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch:
            return  # within an accumulation window: no step, and the trainer does not log
        due = is_logging_step(trainer, self.batches + 1)
        self.batches += 1
        if due or self.batches % MOST_UNREAD == 0:
            self._read(trainer, pl_module)
        if due:
            pl_module.log_dict(on_host(self._logged()), on_step=True, on_epoch=False, batch_size=1)

    def _read(self, trainer: Trainer, module: LightningModule) -> None:
        kind, clip = clipping_of(trainer, module)
        for record in self.records:
            record.read(clip, unclipped=kind == "none")
            if not trainer.log_every_n_steps:  # type: ignore[attr-defined]  # nothing is logged, so nothing takes them
                record.since_log = []

    def _logged(self) -> dict[str, float]:
        """Return the values of the table in the class docstring, and start a new log interval."""
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
        """Print and write the report."""
        folder = run_folder(trainer)  # a broadcast: every process calls it
        self._remove_hooks()
        self._read(trainer, pl_module)
        if not (self.report and trainer.is_global_zero):
            return
        lines = [line for report in self.reports(trainer, pl_module) if report.steps for line in report.lines()]
        if lines:
            print("\n".join(lines))
            report_path(trainer, folder, "clipping.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def reports(self, trainer: Trainer, pl_module: LightningModule) -> list[ClippingReport]:
        """Return a report on the clipping for each optimizer."""
        clip = clipping_of(trainer, pl_module)[1]
        return [clipping_report(record.norms, record.clipped, clip) for record in self.records]

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hooks."""
        self._remove_hooks()

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the norms so far, so that a resumed run reports on all steps."""
        self._read(trainer, pl_module)
        records = [record.state_dict() for record in self.records]
        checkpoint[STATE] = {"batches": self.batches, "records": records}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the norms."""
        state = checkpoint.get(STATE, {"batches": 0, "records": []})
        self.batches, self.records = state["batches"], [NormRecord() for _ in state["records"]]
        for record, saved in zip(self.records, state["records"], strict=True):
            record.load_state_dict(saved)


def _set_norms(step: Step, norms: Norms, optimizer: Optimizer) -> None:
    step.before = _unscaled(norms.true.detach(), step, optimizer)
    if norms.divisor is not norms.true:
        step.divisor = _unscaled(norms.divisor.detach(), step, optimizer)


def _unscaled(norm: Tensor, step: Step, optimizer: Optimizer) -> Tensor:
    """Divide by the scaler's scale if the gradients still carry it."""
    return norm / step.scale if step.scale is not None and unscales_in_its_step(optimizer) else norm
