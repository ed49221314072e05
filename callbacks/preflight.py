"""Check the first batch for mistakes that would train without an error."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from foundation.errors import UserError
from lightning_modules.losses.batch_checks import Finding, examine, examine_inputs

SWITCH = "To turn the preflight off: --preflight false."


class Preflight(Callback):
    """Check on the first batch, before the first step, that inputs, outputs and targets suit the loss.

    A hook on the module's `loss` checks its first call in validation (the trainer's sanity check) and in training; it
    computes nothing twice and is removed afterwards. A certain mistake ends the run:

    | mistake | found by |
    | --- | --- |
    | NaN in inputs, targets or outputs | their values |
    | targets that broadcast, (N, 1) against (N,) | their shapes |
    | class numbers out of range, or counted from 1 | the number of outputs |
    | logits for a loss that expects probabilities | values outside [0, 1] |
    | cross-entropy over one class | the number of outputs |

    What may be intended gives a warning: probabilities for a loss that expects logits, target probabilities that do not
    sum to 1, only one class in the batch, inputs that are not normalised, a first loss far from that of guessing.

    Raises:
        UserError: There is a certain mistake; the message says what to change.
    """

    def __init__(self) -> None:
        self.handle: Any = None
        self.warned: set[str] = set()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Register a hook on the loss, if the module has one."""
        loss = getattr(pl_module, "loss", None)
        if stage != "fit" or not isinstance(loss, nn.Module):
            return

        def check(loss: nn.Module, inputs: tuple[Any, ...]) -> None:
            if len(inputs) == 2 and all(isinstance(tensor, Tensor) for tensor in inputs):
                resumed = trainer.global_step > 0 or trainer.ckpt_path is not None
                training = pl_module.training
                self.report(examine(loss, *inputs, untrained=training and not resumed, shuffled=training))
            if pl_module.training:
                self.stop()

        self.stop()
        self.handle = loss.register_forward_pre_hook(check)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Check the inputs of the first batch."""
        if self.handle is not None and isinstance(batch, (tuple, list)) and batch and isinstance(batch[0], Tensor):
            self.report(examine_inputs(batch[0]))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remove the hook, also if the module has not called its loss (adversarial training)."""
        self.stop()

    def report(self, findings: list[Finding]) -> None:
        """Warn once of each finding, or end the run."""
        certain = [finding.text for finding in findings if finding.certain]
        if certain:
            self.stop()
            raise UserError(f"Preflight: {' '.join(certain)} {SWITCH}")
        for finding in findings:
            if finding.text not in self.warned:
                self.warned.add(finding.text)
                rank_zero_warn(f"Preflight: {finding.text}")

    def stop(self) -> None:
        """Remove the hook."""
        if self.handle is not None:
            self.handle.remove()
            self.handle = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hook."""
        self.stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove the hook, also if nothing was trained."""
        self.stop()
