"""Sample statistics of every layer during training, and write a page with the problems found."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.diagnostics.findings import findings
from callbacks.diagnostics.layer_statistics import RECTIFIERS, activation_statistics, relative_update
from callbacks.diagnostics.page import diagnostics_page
from callbacks.diagnostics.samples import Row, added, packed, unpacked
from callbacks.diagnostics.units import ActiveUnits
from callbacks.gradients.measure import current_scale, layer_norms
from foundation.argument_checks import require_at_least_one
from foundation.compat.torch import unscales_in_its_step
from foundation.loggers import WITHIN, report_path, run_folder, tensorboards

COMPILED = ("OptimizedModule",)  # torch.compile's, which would be compiled again for a watched step
COLUMNS = ("step", "epoch", "layer", "quantity", "value")


class Diagnostics(Callback):
    """Measure activations, gradients, updates and weights of each layer every few optimizer steps.

    Between the sampled steps there is no hook and no cost, and the run's results do not change. The callback writes
    `diagnostics.html` and `diagnostics.csv` into the run's folder. Above 1000 sampled steps it keeps every second one,
    so that checkpoints do not grow without a bound. With a TensorBoard logger it logs:

    | key | value |
    | --- | --- |
    | `within_mean/<layer>`, `within_std/<layer>` | mean and standard deviation of the output |
    | `within_near_zero/<layer>` | share of outputs with an absolute value below 0.05 |
    | `within_saturated/<layer>` | share of a sigmoid's or tanh's outputs within 3 % of a bound |
    | `within_dead/<layer>` | share of a ReLU's units that were 0 in every sampled step of an epoch; of functions too |
    | `within_gradient/<layer>` | gradient norm of the layer's own parameters, before clipping |
    | `within_update/<layer>` | norm of the step relative to that of the weights |
    | `within_weight_mean/<layer>`, `within_weight_std/<layer>` | mean and standard deviation of the weights |
    | `weights/<parameter>` | histogram of the weights at the end of each epoch |

    With several optimizers each of them counts its steps, and a layer's update is that of the optimizer that has it. A
    `ScriptModule` is measured from outside only: its weights, gradients and updates.

    Args:
        every_n_steps: ≥ 1; 1 samples every step, at the highest cost. A run that is shorter is sampled four times.

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
        self.units = ActiveUnits()
        self._watches_functions = False
        self._interval = every_n_steps
        self._before: dict[str, list[Tensor]] = {}

    # -- sampling ------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move what a checkpoint held to the device; while it was loaded, the module was not there yet."""
        self.units.active = {name: active.to(pl_module.device) for name, active in self.units.active.items()}
        total = steps_of(trainer)
        self._interval = self.every_n_steps if self.every_n_steps <= total else max(1, int(total) // 4)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Register hooks on the layers if this batch belongs to a sampled step."""
        coming = max(len(trainer.optimizers), 1)  # steps that this batch may take
        if self._hooks or (trainer.global_step + coming) // self._interval == trainer.global_step // self._interval:
            return
        for name, layer in layers_of(pl_module):
            if isinstance(layer, RECTIFIERS):
                self._hooks.append(layer.register_forward_pre_hook(lambda layer, arguments: self.units.enter()))
            self._hooks.append(layer.register_forward_hook(self._hook(name)))
        if not any(type(part).__name__ in COMPILED for part in pl_module.modules()):
            self.units.__enter__()
            self._watches_functions = True

    def _hook(self, name: str) -> Any:
        def hook(layer: nn.Module, arguments: Any, output: Any) -> None:
            if isinstance(layer, RECTIFIERS) and layer.training and isinstance(output, Tensor) and output.ndim > 1:
                self.units.rectifier(name, output)
            elif next(layer.parameters(recurse=False), None) is not None:
                self.units.layer(name, layer)
            if not (layer.training and isinstance(output, Tensor) and output.is_floating_point() and output.ndim > 1):
                return
            for quantity, value in activation_statistics(layer, output).items():
                self._sampled[name, quantity] = value

        return hook

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Keep the weights and measure the gradients of a sampled step."""
        if not self._hooks:
            return
        scale = current_scale(trainer, pl_module.device) if unscales_in_its_step(optimizer) else None
        for name, norm in layer_norms(pl_module, optimizer).items():
            self._sampled[name, "gradient"] = norm if scale is None else norm / scale
        its = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, own in own_parameters(pl_module).items():
            if name not in self._before and any(id(p) in its for p in own):
                self._before[name] = [p.detach().clone() for p in own]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the updates, record the sample, remove the hooks."""
        if not self._before:
            return
        for name, own in own_parameters(pl_module).items():
            if name in self._before:
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
                    board.add_scalar(f"{WITHIN}{quantity}/{name}", value, step)

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        if self._watches_functions:
            self.units.__exit__(None, None, None)
            self._watches_functions = False
        self._hooks, self._sampled, self._before = [], {}, {}

    # -- epochs and the end --------------------------------------------------------------------------------------------

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the share of units that were dead in the whole epoch; log histograms."""
        self._record(trainer, {(name, "dead"): share for name, share in self.units.shares().items()})
        for board in tensorboards(trainer):
            for name, parameter in pl_module.named_parameters():
                values = parameter.detach().float().cpu()
                if values.isfinite().all():
                    board.add_histogram(f"weights/{name}", values, trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the page and the table."""
        self._remove_hooks()
        folder = run_folder(trainer)  # a broadcast: every process calls it
        if not trainer.is_global_zero:
            return
        if not self.rows:
            print(f"diagnostics  nothing was measured: the run took {trainer.global_step} optimizer steps")
            return
        import pandas as pd  # imports as slowly as all of Descent's own modules

        table = pd.DataFrame(self.rows, columns=list(COLUMNS))
        trainable = {name: any(p.requires_grad for p in own) for name, own in own_parameters(pl_module).items()}
        self.findings = [*findings(table, trainable), *forgotten(trainer, pl_module)]
        table.to_csv(report_path(trainer, folder, "diagnostics.csv"), index=False)
        title = f"Inside {folder.parent.name} {folder.name}"
        page = report_path(trainer, folder, "diagnostics.html")
        types = {name: type(layer).__name__ for name, layer in pl_module.named_modules()}
        page.write_text(diagnostics_page(table, self.findings, title, types), encoding="utf-8")
        print("\n".join([*self.findings, f"diagnostics  {page}"]))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hooks."""
        self._remove_hooks()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the samples, so that the page of a resumed run shows all steps."""
        checkpoint["diagnostics"] = {**packed(self.rows), "active": self.units.active}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the samples."""
        state = checkpoint.get("diagnostics", {"rows": [], "active": {}})
        self.rows = unpacked(state)
        self.units.active = dict(state["active"])


def own_parameters(module: LightningModule) -> dict[str, list[nn.Parameter]]:
    """Return each layer's own parameters by its name; those of the module itself by that of its class."""
    own = {
        name or type(layer).__name__: list(layer.parameters(recurse=False)) for name, layer in module.named_modules()
    }
    return {name: parameters for name, parameters in own.items() if parameters}


def layers_of(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the innermost modules that take hooks, each once."""
    seen: set[int] = set()
    for name, child in module.named_modules():
        if not name or id(child) in seen or isinstance(child, torch.jit.ScriptModule):
            continue
        seen.add(id(child))
        if not list(child.children()):
            yield name, child


def forgotten(trainer: Trainer, module: LightningModule) -> list[str]:
    """Return a sentence for each layer that could be trained, but whose parameters no optimizer has."""
    known = {id(p) for optimizer in trainer.optimizers for group in optimizer.param_groups for p in group["params"]}
    return [
        f"{name}: not trained, no optimizer has its parameters; give them to one in configure_optimizers, or set"
        " requires_grad to False."
        for name, own in own_parameters(module).items()
        if not any(id(p) in known for p in own) and any(p.requires_grad for p in own)
    ]


def steps_of(trainer: Trainer) -> float:
    """Return how many optimizer steps the run takes, infinity if that is open."""
    batches, epochs = trainer.num_training_batches, trainer.max_epochs
    if batches == float("inf") or epochs in (None, -1):
        return float("inf") if trainer.max_steps == -1 else trainer.max_steps
    steps = -(-int(batches) // trainer.accumulate_grad_batches) * int(epochs or 0)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)
