"""Sample statistics of every layer during training, and write a page with the problems found."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.diagnostics.findings import findings
from callbacks.diagnostics.layer_statistics import RECTIFIERS, activation_statistics, active_units, relative_update
from callbacks.diagnostics.page import diagnostics_page
from callbacks.diagnostics.samples import Row, added, packed, unpacked
from callbacks.gradients.measure import current_scale, layer_norms
from foundation.argument_checks import require_at_least_one
from foundation.compat.torch import unscales_in_its_step
from foundation.loggers import report_path, run_folder, tensorboards

COLUMNS = ("step", "epoch", "layer", "quantity", "value")


class Diagnostics(Callback):
    """Measure activations, gradients, updates and weights of each layer every few optimizer steps.

    Between the sampled steps there is no hook and no cost, and the run's results do not change. The callback writes
    `diagnostics.html` and `diagnostics.csv` into the run's folder. Above 1000 sampled steps it keeps every second one,
    so that checkpoints do not grow without a bound. With a TensorBoard logger it logs:

    | key | value |
    | --- | --- |
    | `layer_mean/<layer>`, `layer_std/<layer>` | mean and standard deviation of the output |
    | `layer_near_zero/<layer>` | share of outputs with an absolute value below 0.05 |
    | `layer_saturated/<layer>` | share of a sigmoid's or tanh's outputs within 3 % of a bound |
    | `layer_dead/<layer>` | share of a ReLU's units that were 0 in every sampled step of an epoch |
    | `layer_gradient/<layer>` | gradient norm of the layer's own parameters, before clipping |
    | `layer_update/<layer>` | norm of the step relative to that of the weights |
    | `layer_weight_mean/<layer>`, `layer_weight_std/<layer>` | mean and standard deviation of the weights |
    | `weights/<parameter>` | histogram of the weights at the end of each epoch |

    Args:
        every_n_steps: ≥ 1; 1 samples every step, at the highest cost.

    Raises:
        ValueError: `every_n_steps` is below 1.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        require_at_least_one(every_n_steps=every_n_steps)
        self.every_n_steps = every_n_steps
        self.rows: list[Row] = []
        self.findings: list[str] = []
        """The findings, once training has ended."""
        self._hooks: list[Any] = []
        self._sampled: dict[tuple[str, str], Tensor] = {}
        self._active: dict[str, Tensor] = {}
        self._before: dict[str, list[Tensor]] = {}

    # -- sampling ------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move what a checkpoint held to the device; while it was loaded, the module was not there yet."""
        self._active = {name: active.to(pl_module.device) for name, active in self._active.items()}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Register hooks on the layers if this batch belongs to a sampled step."""
        if self._hooks or (trainer.global_step + 1) % self.every_n_steps:
            return
        for name, layer in pl_module.named_modules():
            if name and not list(layer.children()):
                self._hooks.append(layer.register_forward_hook(self._hook(name)))

    def _hook(self, name: str) -> Any:
        def hook(layer: nn.Module, arguments: Any, output: Any) -> None:
            if not (layer.training and isinstance(output, Tensor) and output.is_floating_point() and output.ndim > 1):
                return
            for quantity, value in activation_statistics(layer, output).items():
                self._sampled[name, quantity] = value
            if isinstance(layer, RECTIFIERS):
                active = active_units(output)
                self._active[name] = active | self._active[name] if name in self._active else active

        return hook

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Keep the weights and measure the gradients of a sampled step."""
        if not self._hooks:
            return
        scale = current_scale(trainer, pl_module.device) if unscales_in_its_step(optimizer) else None
        for name, norm in layer_norms(pl_module, optimizer).items():
            self._sampled[name, "gradient"] = norm if scale is None else norm / scale
        self._before |= {name: [p.detach().clone() for p in own] for name, own in own_parameters(pl_module).items()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the updates, record the sample, remove the hooks."""
        if not self._before:
            return
        for name, own in own_parameters(pl_module).items():
            self._sampled[name, "update"] = relative_update(self._before[name], [p.detach() for p in own])
            weights = own[0].detach().float()
            self._sampled[name, "weight_mean"] = weights.mean()
            self._sampled[name, "weight_std"] = weights.std(unbiased=False)
        self._record(trainer, self._sampled)
        self._remove_hooks()

    def _record(self, trainer: Trainer, sample: dict[tuple[str, str], Tensor]) -> None:
        if sample:
            values = torch.stack([value.float() for value in sample.values()]).tolist()
            place = (trainer.global_step, trainer.current_epoch)
            rows = [(*place, *key, float(value)) for key, value in zip(sample, values, strict=True)]
            self.rows = added(self.rows, rows, self.every_n_steps)
            for board in tensorboards(trainer):
                for step, _, name, quantity, value in rows:
                    board.add_scalar(f"layer_{quantity}/{name}", value, step)

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._sampled, self._before = [], {}, {}

    # -- epochs and the end --------------------------------------------------------------------------------------------

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the share of units that were dead in the whole epoch; log histograms."""
        self._record(trainer, {(name, "dead"): 1 - active.float().mean() for name, active in self._active.items()})
        self._active = {}
        for board in tensorboards(trainer):
            for name, parameter in pl_module.named_parameters():
                values = parameter.detach().float().cpu()
                if values.isfinite().all():
                    board.add_histogram(f"weights/{name}", values, trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the page and the table."""
        self._remove_hooks()
        folder = run_folder(trainer)  # a broadcast: every process calls it
        if not self.rows or not trainer.is_global_zero:
            return
        import pandas as pd  # imports as slowly as all of Descent's own modules

        table = pd.DataFrame(self.rows, columns=list(COLUMNS))
        trainable = {name: any(p.requires_grad for p in own) for name, own in own_parameters(pl_module).items()}
        self.findings = findings(table, trainable)
        table.to_csv(report_path(trainer, folder, "diagnostics.csv"), index=False)
        title = f"Inside {folder.parent.name} {folder.name}"
        page = report_path(trainer, folder, "diagnostics.html")
        page.write_text(diagnostics_page(table, self.findings, title), encoding="utf-8")
        print("\n".join([*self.findings, f"diagnostics  {page}"]))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hooks."""
        self._remove_hooks()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the samples, so that the page of a resumed run shows all steps."""
        checkpoint["diagnostics"] = {**packed(self.rows), "active": self._active}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the samples."""
        state = checkpoint.get("diagnostics", {"rows": [], "active": {}})
        self.rows = unpacked(state)
        self._active = dict(state["active"])


def own_parameters(module: LightningModule) -> dict[str, list[nn.Parameter]]:
    """Return each layer's own parameters by its name."""
    own = {name: list(layer.parameters(recurse=False)) for name, layer in module.named_modules() if name}
    return {name: parameters for name, parameters in own.items() if parameters}
