"""Lightning's progress bar."""

import logging
import sys
from typing import Any

from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import BatchesProcessedColumn, CustomBarColumn
from rich.progress import ProgressColumn, Task, TextColumn
from rich.text import Text

from foundation.compat.lightning_messages import log_handlers


class LabelledBar(RichProgressBar):
    """A bar that says what its numbers are, and when the whole run ends: `epoch 3/15 ━━━━ 12/40 batches, 0:09 left`.

    It counts epochs from 1, as every other line does; Lightning's says `Epoch 0/14` in the first of 15.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._streams: list[tuple[logging.StreamHandler[Any], Any]] = []

    def _init_progress(self, trainer: Any) -> None:
        super()._init_progress(trainer)
        for handler in log_handlers() if not self._streams else ():
            # rich writes what goes to sys.stderr above the bar; Lightning's log holds the stream from before
            if handler.stream.isatty() and handler.stream is not sys.stderr:
                self._streams.append((handler, handler.setStream(sys.stderr)))

    def _stop_progress(self) -> None:
        super()._stop_progress()
        while self._streams:
            handler, stream = self._streams.pop()
            handler.setStream(stream)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return state | {"_streams": []}

    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        text = f"epoch {current_epoch + 1}" + (f"/{epochs}" if epochs is not None and epochs > 0 else "")
        return f"{text:{len(self.validation_description)}}"  # padded, so that validation does not move the bar

    @property
    def validation_description(self) -> str:
        """What the bar of a validation is called."""
        return "validation"

    @property
    def sanity_check_description(self) -> str:
        """What the bar of the first batches of validation, before training, is called."""
        return "first check"

    @property
    def test_description(self) -> str:
        """What the bar of a test is called."""
        return "test"

    @property
    def predict_description(self) -> str:
        """What the bar of a prediction is called."""
        return "predict"

    def seconds_left(self, trainer: Any) -> float | None:
        """Return the time that is left of the whole run, or `None`."""
        return None

    def hide(self, task: Any) -> None:
        """Remove a bar that is full; what is printed last is the result."""
        if self.progress is not None and task is not None:
            self.progress.update(task, visible=False)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Remove the bar."""
        super().on_train_end(trainer, pl_module)
        self.hide(self.train_progress_bar_id)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Remove the bar of `validate`; in a fit Lightning does it."""
        super().on_validation_end(trainer, pl_module)
        self.hide(self.val_progress_bar_id)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Remove the bar."""
        super().on_test_end(trainer, pl_module)
        self.hide(self.test_progress_bar_id)

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        """Remove the bar."""
        super().on_predict_end(trainer, pl_module)
        self.hide(self.predict_progress_bar_id)

    def configure_columns(self, trainer: Any) -> list[Any]:
        """Return what the bar consists of; about 50 characters, so that it fits a narrow terminal."""
        return [
            TextColumn("{task.description}"),
            CustomBarColumn(bar_width=20, complete_style="green", finished_style="green", pulse_style="green"),
            BatchesProcessedColumn(style=""),
            TextColumn("batches"),
            _Left(self, trainer),
        ]


class _Left(ProgressColumn):
    """The time that is left: of the whole run in training, else of the stage."""

    max_refresh = 0.5  # seconds

    def __init__(self, bar: LabelledBar, trainer: Any) -> None:
        super().__init__()
        self.bar, self.trainer = bar, trainer

    def render(self, task: Task) -> Text:
        """Return the text, an empty one if the time is not known."""
        training = task.id == self.bar.train_progress_bar_id
        seconds = self.bar.seconds_left(self.trainer) if training else task.time_remaining
        if seconds is None or (not training and self.trainer.state.fn == "fit"):
            return Text()
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
        return Text(f"{clock} left", style="dim")
