"""Check the first batch for mistakes that would train without an error."""

import copy
from collections.abc import Sized
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from foundation.compat.torch import is_batch_norm
from foundation.errors import UserError
from foundation.random_streams import random_state_kept
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
    | a last batch of one sample, which batch norm cannot normalise | a try on a copy |

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
        """Check the inputs of the first batch, and that the network also takes the epoch's last one."""
        if self.handle is not None and isinstance(batch, (tuple, list)) and batch and isinstance(batch[0], Tensor):
            self.report(examine_inputs(batch[0]))
            if ends_in_a_single_sample(trainer):
                check_single_sample(pl_module, batch[0][:1])

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


def ends_in_a_single_sample(trainer: Trainer) -> bool:
    """Return whether the last training batch of an epoch has one sample, as far as the loader shows."""
    loader: Any = trainer.train_dataloader
    size, sampler = getattr(loader, "batch_size", None), getattr(loader, "sampler", None)
    if size is None or size < 2 or getattr(loader, "drop_last", True) or not isinstance(sampler, Sized):
        return False
    return len(sampler) % size == 1 and trainer.num_training_batches == len(loader)


def check_single_sample(module: LightningModule, inputs: Tensor) -> None:
    """Check that a network with batch norm can be trained on a batch of one sample; a copy of it tries.

    Raises:
        UserError: It cannot.
    """
    network = getattr(module, "network", None)
    if not isinstance(network, nn.Module) or not any(is_batch_norm(part) for part in network.modules()):
        return
    inputs = inputs.to(next(network.parameters()).dtype)
    try:
        with torch.no_grad(), random_state_kept():
            copy.deepcopy(network).train()(inputs)
    except ValueError as error:
        raise UserError(
            "The last batch of an epoch has one sample, of which batch norm has no statistics: set --data.drop_last "
            "true, or another --data.batch_size."
        ) from error
