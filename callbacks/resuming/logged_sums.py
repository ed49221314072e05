"""The sums behind `self.log(on_epoch=True)` of an unfinished epoch, which Lightning does not save."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks.resuming.epoch_state import ends_epoch
from foundation.compat.lightning_loops import LoggedSum, add_logged_sum, logged_sums

LOGGED = "logged sums"  # key in the state of an exact resume


class LoggedSums:
    """Save the sums, and add them to those of the resumed part of the epoch as soon as it logs the same value."""

    def __init__(self) -> None:
        self.saved: dict[str, LoggedSum] = {}

    def state(self, trainer: Trainer) -> dict[str, dict[str, Any]]:
        """Return the sums of an epoch that is not over, with those that are not merged yet, as plain values."""
        if ends_epoch(trainer):
            return {}
        now = logged_sums(trainer) if trainer.training or trainer.validating else {}
        return {key: vars(each) for key, each in (self.saved | now).items()}

    def load(self, state: Mapping[str, Mapping[str, Any]], trainer: Trainer) -> None:
        """Take the sums of a checkpoint; those that are reduced over all processes on the first process only."""
        found = {key: LoggedSum(**values) for key, values in state.items()}
        self.saved = {key: each for key, each in found.items() if trainer.is_global_zero or not each.reduced}

    def forget(self) -> None:
        """Drop them at the start of an epoch, to which they do not belong."""
        self.saved = {}

    def merge(self, trainer: Trainer) -> None:
        """Add the saved sums to the values that have been logged since."""
        self.saved = {key: each for key, each in self.saved.items() if not add_logged_sum(trainer, key, each)}

    def log_rest(self, module: LightningModule) -> None:
        """Log the values that only the interrupted part of the epoch has logged."""
        for each in self.saved.values():
            flags: dict[str, Any] = {"on_step": False, "on_epoch": True}
            module.log(each.epoch_name, each.mean, prog_bar=each.prog_bar, logger=each.logger, **flags)
            if each.name != each.epoch_name:  # callbacks find the epoch's value by the plain name too
                module.log(each.name, each.mean, prog_bar=False, logger=False, **flags)
        self.saved = {}
