"""Learning rate, momentum and weight decay of a config's run before it is taken, and beside them what a run did."""

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


class _BeforeTheFirstStep(Exception):  # noqa: N818 - it is no error
    """Ends a fit when everything is made and nothing is trained."""


class _Stop(Callback):
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise _BeforeTheFirstStep


def schedules_of_run(
    trainer: Trainer, model: LightningModule, data: Any, values: "pd.DataFrame | None"
) -> list[Preview]:
    """Make the optimizers and schedules as a fit does, and follow them through the run.

    Args:
        trainer: The trainer of the config, used up by this.
        model: The module.
        data: Its data module, if it has one.
        values: Columns of validation results by which a plateau is replayed.

    Returns:
        One preview an optimizer.
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
            raise UserError("A plateau can't be replayed: when this run validates isn't known before.")
        previews.append(preview(optimizer, config, run_length, validations, monitored))
    return previews


def replayed(config: dict[str, Any] | None, values: "pd.DataFrame | None") -> list[float]:
    """What a plateau would have seen; says so where it sees nothing."""
    monitor = None if config is None else config.get("monitor")
    if monitor is None:
        return []
    if values is None:
        say(
            f"the schedule follows {monitor}, which nobody knows before the run: drawn without a reduction. Replay a"
            f" curve with --validation CSV (a column {monitor}, such as another run's {METRICS_FILE})."
        )
        return []
    if monitor not in values:
        raise UserError(f"--validation: no column {monitor!r}; there are {', '.join(values.columns)}.")
    return [float(value) for value in values[monitor].dropna()]


def finish(trainer: Any, run: Run | None, out: Path | None) -> Path:
    """Draw what `Trainer.show_schedule` found, with what the run did if there is one; the figure's path."""
    from descent.training.schedule_figure import draw_schedule

    real = None
    if run is not None and (run.folder / METRICS_FILE).is_file():
        real = read_table(run.folder / METRICS_FILE)
    folder = out or (run.folder / "figures" if run is not None else Path())
    return draw_schedule(trainer.previews, real, folder)


def read_table(path: Path) -> "pd.DataFrame":
    """A CSV table.

    Raises:
        UserError: It is none.
    """
    import pandas as pd

    try:
        return pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no CSV table: {error}.") from error
