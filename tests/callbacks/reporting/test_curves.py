"""Learning curves of one run and of several."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from callbacks import plot_history
from callbacks.reporting.curves import curves
from foundation.errors import UserError
from foundation.figure_style import COLORS


def table(shift: float = 0.0, epochs: int = 4) -> pd.DataFrame:
    epoch = np.arange(epochs)
    return pd.DataFrame(
        {
            "step": epoch * 10,
            "train/loss": 2.0 * 0.2**epoch + shift,
            "val/loss": [2.0, 0.5, 0.4, 0.6][:epochs] + np.full(epochs, shift),
            "val/accuracy": np.linspace(0.3, 0.9, epochs),
            "lr": 0.001,
        },
        index=pd.Index(epoch, name="epoch"),
    )


def texts(axes: Any) -> list[str]:
    return sorted(text.get_text() for text in axes.texts)


def test_panels_above_each_other_with_labels_at_the_ends() -> None:
    loss, accuracy, rate = plot_history(table()).axes
    assert [each.get_ylabel() for each in (loss, accuracy, rate)] == ["loss", "accuracy", "learning rate"]
    assert [each.get_yscale() for each in (loss, accuracy, rate)] == ["log", "linear", "linear"]
    assert texts(loss) == ["training", "validation\nbest 0.4000, epoch 3"]
    assert texts(accuracy) == ["validation\nbest 0.9000, epoch 4"]
    assert all(each.get_legend() is None for each in (loss, accuracy, rate))
    circle = next(line for line in loss.get_lines() if line.get_marker() == "o")
    assert np.asarray(circle.get_xdata()).tolist() == [3]  # epochs are counted from 1


@pytest.mark.parametrize("runs", [4, 12])
def test_labels_do_not_overlap_and_stay_in_the_panel(runs: int) -> None:
    figure = curves([(f"digits/{number}", table(0.001 * number)) for number in range(runs)])
    assert len({text.get_color() for text in figure.axes[0].texts}) == runs
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
        assert all(box.x1 <= figure.bbox.x1 and box.y1 <= axes.bbox.y1 + 5 for box in boxes)


def test_runs_have_a_colour_each_and_training_is_dashed() -> None:
    loss, *_ = curves([("digits/0", table()), ("digits/1", table(0.1))]).axes
    lines = {line.get_label(): line for line in loss.get_lines() if not str(line.get_label()).startswith("_")}
    assert {(name, line.get_color(), line.get_linestyle()) for name, line in lines.items()} == {
        (f"digits/{run} {stage}", COLORS[run], style)
        for run in (0, 1)
        for stage, style in (("training", "--"), ("validation", "-"))
    }
    assert [text.partition("\n")[0] for text in texts(loss)] == ["digits/0", "digits/1"]


def test_metrics_of_any_name() -> None:
    foreign = table().rename(
        columns={"val/loss": "valid_loss", "train/loss": "loss/train_epoch", "val/accuracy": "val-f1"}
    )
    assert [axes.get_ylabel() for axes in plot_history(foreign).axes] == ["loss", "learning rate"]
    for name in ("f1", "val/f1", "val_f1"):
        assert plot_history(foreign, [name]).axes[0].get_ylabel() == "f1"
    with pytest.raises(UserError, match=r"--metric accuracie is not logged: did you mean accuracy\?"):
        plot_history(table(), ["accuracie"])


@pytest.mark.parametrize(("shift", "scale"), [(-1.0, "linear"), (10.0, "linear"), (0.0, "log")])
def test_a_loss_has_a_logarithmic_axis_where_it_falls_by_much(shift: float, scale: str) -> None:
    assert plot_history(table(shift)).axes[0].get_yscale() == scale


def test_a_run_that_diverged_is_drawn_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    diverged = table().assign(**{"train/loss": np.inf, "val/loss": np.nan})
    figure = plot_history(diverged)
    FigureCanvasAgg(figure).draw()
    assert figure.axes[0].get_yscale() == "linear"
    assert texts(figure.axes[0]) == ["training"]
    assert [axes.get_ylabel() for axes in plot_history(diverged[["val/loss", "lr"]]).axes] == ["learning rate"]
    assert not [str(each.message) for each in recwarn]
