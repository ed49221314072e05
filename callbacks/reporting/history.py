"""Read a run's metrics as a table by epoch, and draw learning curves."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger

from foundation.loggers import report_path, run_folder
from foundation.metrics.names import by_canonical_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

METRICS_FILE = "metrics.csv"
QUANTITIES = ("loss", "accuracy", "generator_loss", "discriminator_loss", "sliced_wasserstein")
BEST = {"loss": "idxmin", "accuracy": "idxmax"}
LOGARITHMIC = ("loss", "sliced_wasserstein")
TRAIN, VAL, RATE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
)  # of Okabe and Ito, safe for colour-blind readers


def history(run: "str | os.PathLike[str]") -> "pd.DataFrame":
    r"""Return a run's metrics by epoch.

    Args:
        run: A run's folder (of Descent, or any with Lightning's `metrics.csv`), the file itself, or an experiment's
            folder, for its newest run.

    Returns:
        One row an epoch (index `epoch`, from 0) with the last value of each metric in it, also of metrics logged per
        step such as `lr`. `step` is the number of the epoch's last logged step.

    Raises:
        FileNotFoundError: There is no `metrics.csv`.

    Example:
        >>> from pathlib import Path; from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> rows = "epoch,step,train/loss,val/loss\n0,9,,0.7\n0,9,0.5,\n1,19,0.2,\n"
        >>> _ = (folder / "metrics.csv").write_text(rows)
        >>> history(folder)
               step  train/loss  val/loss
        epoch
        0         9         0.5       0.7
        1        19         0.2       NaN
    """
    import pandas as pd

    rows = pd.read_csv(metrics_file(Path(run)))
    if "epoch" not in rows:
        raise ValueError(f"{metrics_file(Path(run))} has no column epoch: nothing was logged with an epoch.")
    rows["epoch"] = rows["epoch"].ffill().bfill()
    table = rows.groupby("epoch").last()
    table.index = table.index.astype(int)
    columns = ["step", *sorted(name for name in table.columns if name != "step")]
    return table[columns].dropna(axis="columns", how="all")


def metrics_file(path: Path) -> Path:
    """Return the `metrics.csv` of a path: a file, a run's folder or an experiment's."""
    if path.is_file():
        return path
    if (path / METRICS_FILE).is_file():
        return path / METRICS_FILE
    runs = sorted((entry for entry in path.glob("*/") if entry.name.isdigit()), key=lambda entry: int(entry.name))
    for run in reversed(runs):
        if (run / METRICS_FILE).is_file():
            return run / METRICS_FILE
    raise FileNotFoundError(
        f"no {METRICS_FILE} in {path}: expected a run's folder, or an experiment's with runs in it."
    )


def plot_history(run: "str | os.PathLike[str] | pd.DataFrame") -> "Figure":
    """Draw loss, accuracy, the losses of a GAN and the learning rate by epoch, for training and validation.

    Args:
        run: As for `history`, or the table that it returns.

    Returns:
        A figure without a window: a notebook shows it, `figure.savefig(path)` saves it.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    table = run if isinstance(run, pd.DataFrame) else history(run)
    known = by_canonical_name([name.removesuffix("_epoch") for name in table.columns])
    columns = {name: key for key, name in known.items()}
    table = table.rename(columns=lambda name: columns.get(name.removesuffix("_epoch"), name))
    table = table.loc[:, ~table.columns.duplicated()]
    quantities = [name for name in QUANTITIES if any(c in table for c in (f"train/{name}", f"val/{name}"))]
    rates = [name for name in table.columns if name == "lr" or name.startswith("lr/")]
    panels = [*quantities, *(["lr"] if rates else [])]
    figure = Figure(figsize=(4.2 * max(len(panels), 1), 3.4), layout="constrained")
    if not panels:
        return figure
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        if panel == "lr":
            for name in rates:
                values = table[name].dropna()  # not logged in each epoch that is shorter than the interval of logging
                axes.plot(values.index + 1, values, marker=".", color=RATE if len(rates) == 1 else None, label=name)
            axes.set(ylabel="learning rate, last of epoch", ylim=(0, None))
        else:
            for stage, color, style in (("train", TRAIN, "-"), ("val", VAL, "--")):
                if (column := f"{stage}/{panel}") in table:
                    values = table[column].dropna()
                    label = "training" if stage == "train" else "validation"
                    if stage == "val" and panel in BEST and len(values.dropna()):
                        best = getattr(values, BEST[panel])()
                        label += f" (best {values[best]:.3g}, epoch {best + 1})"
                        axes.plot(best + 1, values[best], "o", markersize=9, markerfacecolor="none", color=color)
                    axes.plot(values.index + 1, values, style, marker=".", color=color, label=label)
            positive = (table.filter(regex=f"^(train|val)/{panel}$").stack() > 0).all()
            axes.set(ylabel=panel.replace("_", " "), yscale="log" if panel in LOGARITHMIC and positive else "linear")
            if axes.get_yscale() == "log":
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # 0.1 in the place of 10⁻¹
                axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3, which="both")
        if len(axes.get_lines()) > 1:
            axes.legend(frameon=False)
    return figure


class LearningCurves(Callback):
    """Draw `figures/learning_curves.png` into the run's folder when training ends, also by an exception.

    It reads the `metrics.csv` of a `CSVLogger`; without one it draws nothing. It logs nothing.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the curves."""
        folder = run_folder(trainer)  # a broadcast: every process calls it
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.save()
        tables = [Path(logger.log_dir, METRICS_FILE) for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        if tables and tables[0].is_file():
            target = report_path(trainer, folder, "figures/learning_curves.png")
            plot_history(tables[0]).savefig(target, dpi=130)
