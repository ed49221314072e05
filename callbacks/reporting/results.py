"""Print the results of a test or a validation as a table that says what each value means."""

import textwrap

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from callbacks.reporting.baseline import baseline
from callbacks.reporting.table import GAP, NUMBER, number
from foundation.metrics.direction import directions_of, known_direction
from foundation.metrics.names import canonical
from foundation.terminal.folding import fitted, terminal_width

NARROWEST = 24  # characters of the last column; a terminal that has less room breaks its lines
MEANINGS = {
    "loss": "the loss, mean of all samples",
    "accuracy": "share of right answers",
    "accuracy_top5": "share of samples whose true class is among the five most probable",
}
"""What a value is, by its canonical name without the stage."""
BETTER = {"min": "lower is better", "max": "higher is better", None: ""}


class ResultsTable(Callback):
    """Print the checkpoint and a table of the results of `test` and `validate`, in the place of Lightning's own table.

    It says what a value is where that is known, which direction is better, and beside an accuracy that of the most
    common answer. `verbose=False` of the trainer's method turns it off, as it does Lightning's.
    """

    def __init__(self) -> None:
        self.wanted = False

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn Lightning's table off."""
        self.wanted, trainer.test_loop.verbose = trainer.test_loop.verbose, False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn Lightning's table off, that of `validate`; a fit has none."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self.wanted, trainer.validate_loop.verbose = trainer.validate_loop.verbose, False

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the results of a test."""
        self._print(trainer, pl_module, "test")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the results of `validate`."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._print(trainer, pl_module, "val")

    def _print(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if self.wanted and trainer.is_global_zero:
            values = {name: float(value) for name, value in trainer.callback_metrics.items()}
            if trainer.ckpt_path is not None:
                print(fitted(f"checkpoint  {trainer.ckpt_path}"))
            print(results_table(values, meanings(trainer, module, stage, list(values)), terminal_width()))


def meanings(trainer: Trainer, module: LightningModule, stage: str, names: list[str]) -> dict[str, str]:
    """Return in words what each value is; an empty string where nothing is known of it."""
    directions, answer = directions_of(module), baseline(trainer, stage)
    found = {}
    for name in names:
        quantity = canonical(name).partition("/dataloader_idx_")[0].partition("/")[2]
        about = [MEANINGS.get(quantity, ""), BETTER[known_direction(name, directions)]]
        if quantity == "accuracy" and answer is not None:
            about.append(f"{answer} ({answer.samples:,} samples)")
        found[name] = "; ".join(filter(None, about))
    return found


def results_table(values: dict[str, float], meanings: dict[str, str], width: int | None = None) -> str:
    """Return a table of values and what they mean, at most `width` characters wide if there is room for it.

    Example:
        >>> print(results_table({"test/loss": 0.25, "test/accuracy": 0.9}, {"test/loss": "lower is better"}))
        metric            value
        test/accuracy    0.9000
        test/loss        0.2500  lower is better
    """
    if not values:
        return "Nothing was logged."
    longest = max(len("metric"), *map(len, values))
    start = longest + len(GAP) + NUMBER + len(GAP)
    lines = [f"{'metric':{longest}}{GAP}{'value':>{NUMBER}}"]
    for name, value in sorted(values.items()):
        room = None if width is None else max(width - start, NARROWEST)
        text = meanings.get(name, "")
        first, *others = (textwrap.wrap(text, room) if room else [text]) or [""]
        lines.append(f"{name:{longest}}{GAP}{number(value):>{NUMBER}}{GAP}{first}".rstrip())
        lines += [" " * start + other for other in others]
    return "\n".join(lines)
