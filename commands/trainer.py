"""Lightning's Trainer, whose methods are the commands that train and measure."""

import sys
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch import Trainer as LightningTrainer
from lightning.pytorch.callbacks import ProgressBar

from callbacks.lr_search import LRSearch
from callbacks.progress import EpochLines


class Trainer(LightningTrainer):
    """Lightning's Trainer; a command of `descent` that needs model, data and trainer is a method of it.

    Args:
        *args: As Lightning's.
        callbacks: As Lightning's; without a progress bar among them there is a rich one on a terminal, and a line per
            epoch where there is none.
        enable_progress_bar: As Lightning's.
        enable_model_summary: As Lightning's, but off by default: `descent` says what is trained in a line.
        **kwargs: As Lightning's.
    """

    def __init__(
        self,
        *args: Any,
        callbacks: list[Callback] | Callback | None = None,
        enable_progress_bar: bool | None = None,
        enable_model_summary: bool | None = False,
        **kwargs: Any,
    ) -> None:
        self.search: LRSearch | None = None  # what `find_lr` found
        callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or [])
        if enable_progress_bar is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
            callbacks.append(default_progress_bar())
        super().__init__(
            *args,
            callbacks=callbacks,
            enable_progress_bar=enable_progress_bar,
            enable_model_summary=enable_model_summary,
            **kwargs,
        )


from typing import Any


def default_progress_bar() -> ProgressBar:
    """A rich bar where there is a terminal, else a line per epoch."""
    if sys.stdout.isatty():
        from lightning.pytorch.callbacks import RichProgressBar

        return RichProgressBar(leave=False)
    return EpochLines()
