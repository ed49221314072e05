"""Compute the learning rate, momentum and weight decay of a config's run without training."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks.reporting.history import METRICS_FILE
from descent.runs.folder import Run
from foundation.errors import UserError
from foundation.processes import say
from lightning_modules.schedulers.preview import Preview, preview
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.validations import validations_of

if TYPE_CHECKING:
    import pandas as pd


class _BeforeTheFirstStep(Exception):  # noqa: N818 - not an error
    """Ends a fit when optimizers and schedules exist and nothing is trained."""


class _Stop(Callback):
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise _BeforeTheFirstStep


def schedules_of_run(
    trainer: Trainer, model: LightningModule, data: Any, values: "pd.DataFrame | None"
) -> list[Preview]:
    """Build the optimizers and schedules as a fit does, and step the schedules through the run.

    Args:
        trainer: The trainer of the config, which cannot be used afterwards.
        model: The module.
        data: Its data module, if it has one.
        values: Columns of validation results to replay to a plateau schedule.

    Returns:
        One preview per optimizer.

    Raises:
        UserError: The schedule is of the plateau kind, and when the run validates is unknown.
    """
    trainer.callbacks = [_Stop()]  # type: ignore[attr-defined]
    trainer.num_sanity_val_steps = 0
    with contextlib.suppress(_BeforeTheFirstStep):
        trainer.fit(model, datamodule=data)
    run_length = RunLength.from_trainer(trainer)
    configs = {id(config.scheduler.optimizer): vars(config) for config in trainer.lr_scheduler_configs}
    previews = []
    for optimizer in trainer.optimizers:
        config = configs.get(id(optimizer))
        monitored = replayed(config, values)
        validations = validations_of(trainer) if monitored else []
        if validations is None:
            raise UserError("Cannot replay a plateau schedule: when this run validates is not known in advance.")
        previews.append(preview(optimizer, config, run_length, validations, monitored))
    return previews


def replayed(config: dict[str, Any] | None, values: "pd.DataFrame | None") -> list[float]:
    """Return the validation results for a plateau schedule; print a line if there are none."""
    monitor = None if config is None else config.get("monitor")
    if monitor is None:
        return []
    if values is None:
        say(
            f"the schedule monitors {monitor}, which is unknown before the run: drawn without a reduction. Replay a"
            f" curve with --validation CSV (a column {monitor}, such as another run's {METRICS_FILE})."
        )
        return []
    if monitor not in values:
        raise UserError(f"--validation: no column {monitor!r}; there are {', '.join(values.columns)}.")
    return [float(value) for value in values[monitor].dropna()]


def finish(trainer: Any, run: Run | None, out: Path | None) -> Path:
    """Draw the schedule of `Trainer.show_schedule` and a run's logged rates; return the figure's path."""
    from descent.training.schedule_figure import draw_schedule

    real = None
    if run is not None and (run.folder / METRICS_FILE).is_file():
        real = read_table(run.folder / METRICS_FILE)
    folder = out or (run.folder / "figures" if run is not None else Path())
    return draw_schedule(trainer.previews, real, folder)


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV table.

    Raises:
        UserError: The file is not a CSV table.
    """
    import pandas as pd

    if not path.is_file():
        raise UserError(f"--validation {path} is no file: expected a CSV table, e.g. a run's metrics.csv.")
    try:
        return pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV table: {error}.") from error
