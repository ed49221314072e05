"""A look at the first real batch before it is trained on, for the mistakes that train without a word."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from foundation.errors import UserError
from lightning_modules.losses.batch_checks import Finding, examine, examine_inputs

SWITCH = "Preflight can be turned off: --preflight false."


class Preflight(Callback):
    """See that inputs, outputs and targets are what the loss wants, on the first batch, before the first step.

    It watches the module's `loss` until that has been called in validation (the trainer's sanity check) and in training
    once each; it computes nothing twice and leaves nothing behind. What can only be a mistake ends the run:

    | mistake                                        | found by                                               |
    |------------------------------------------------|--------------------------------------------------------|
    | NaN in inputs, targets or outputs              | looking                                                |
    | targets that broadcast, (N, 1) against (N,)    | shapes                                                 |
    | class numbers out of range, counted from 1     | the number of outputs                                  |
    | logits into a loss that wants probabilities    | values outside [0, 1]                                  |
    | cross-entropy over one class                   | the number of outputs                                  |

    What may be meant is a warning: probabilities into a loss that wants logits, target probabilities that do not sum to
    1, one class only in the batch, inputs that are not normalised, a first loss far from what a guess gives.

    Raises:
        UserError: A certain mistake; the message says what to do.
    """

    def __init__(self) -> None:
        self.handle: Any = None
        self.said: set[str] = set()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin to watch the loss, if the module has one."""
        loss = getattr(pl_module, "loss", None)
        if stage != "fit" or not isinstance(loss, nn.Module):
            return

        def look(loss: nn.Module, fed: tuple[Any, ...]) -> None:
            if len(fed) == 2 and all(isinstance(tensor, Tensor) for tensor in fed):
                resumed = trainer.global_step > 0 or trainer.ckpt_path is not None
                training = pl_module.training
                self.report(examine(loss, *fed, untrained=training and not resumed, shuffled=training))
            if pl_module.training:
                self.stop()

        self.stop()
        self.handle = loss.register_forward_pre_hook(look)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Look at the inputs of the first batch."""
        if self.handle is not None and isinstance(batch, (tuple, list)) and batch and isinstance(batch[0], Tensor):
            self.report(examine_inputs(batch[0]))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Watch no longer, also where the module does not call its loss by itself (an adversarial pair)."""
        self.stop()

    def report(self, findings: list[Finding]) -> None:
        """Warn once of each, or end the run."""
        certain = [finding.text for finding in findings if finding.certain]
        if certain:
            self.stop()
            raise UserError(f"Preflight: {' '.join(certain)} {SWITCH}")
        for finding in findings:
            if finding.text not in self.said:
                self.said.add(finding.text)
                rank_zero_warn(f"Preflight: {finding.text}")

    def stop(self) -> None:
        """Watch no longer."""
        if self.handle is not None:
            self.handle.remove()
            self.handle = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self.stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave no hook behind, also if nothing was trained."""
        self.stop()
