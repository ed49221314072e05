"""`descent show`: every subject is drawn, and a planned schedule equals the learning rate of the run."""

import logging
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from descent.commands.show import optimizers as show_optimizers
from descent.commands.show import parts as preset_parts
from descent.commands.show import schedulers as show_schedulers
from foundation.figure_style import save
from tests.descent.helpers import SHORT, refused, run

SCHEDULE = ["show", "schedule", *SHORT[1:]]


def drawn(path: Path) -> bool:
    """Whether a figure is there as PNG and SVG, and is not blank."""
    return path.with_suffix(".svg").is_file() and bool(matplotlib.image.imread(path).std() > 0.01)


def test_without_a_subject_the_subjects_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run(["show"])
    said = capsys.readouterr().out
    assert "descent show optimizers" in said
    assert "descent show schedule " in said


def test_an_unknown_subject(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown subject schedulrs" in refused(["show", "schedulrs"], capsys)


def test_show_losses_draws_three_figures(tmp_path: Path) -> None:
    run(["show", "losses", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"losses_{family}.{kind}" for family in ("classification", "overlap", "regression") for kind in ("png", "svg")
    ]
    assert all(path.stat().st_size > 10_000 for path in tmp_path.iterdir())


@pytest.mark.parametrize("subject", ["schedulers", "optimizers"])
def test_a_figure_of_the_presets_is_drawn(subject: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preset_parts, "names", lambda kind: TWO_OR_THREE[kind])
    run(["show", subject, "--out", "figures"])
    assert drawn(tmp_path / "figures" / f"{subject}.png")


TWO_OR_THREE = {"schedulers": ["warmup_plateau", "one_cycle"], "optimizers": ["lamb", "muon", "schedule_free_adamw"]}


def test_presets_become_objects() -> None:
    assert {"adamw", "lamb", "muon"} <= set(preset_parts.optimizers())
    assert {"plateau", "wsd"} <= set(preset_parts.schedulers())


@pytest.mark.parametrize(
    "words", [["show", "schedulers", "--epochs", "0"], ["show", "optimizers", "--condition", "0.5"]]
)
def test_options_below_1_are_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words)
    assert ended.value.code == 2
    assert "must be in [1, 1" in capsys.readouterr().err


def test_the_synthetic_validation_loss_falls_in_steps() -> None:
    curve = [show_schedulers.validation_loss(epoch / 100) for epoch in range(100)]
    assert curve[0] == 1.0
    assert sorted(curve, reverse=True) == curve
    assert len(set(curve[15:25])) == 1


def test_gradient_descent_on_the_quadratic_follows_theory() -> None:
    """Each step scales the weights by 1 - η along the valley and by 1 - η κ across it."""
    from functools import partial

    import torch

    path, losses = show_optimizers.descend(partial(torch.optim.SGD, lr=1.0), 0.01, 50.0, 20)
    values, vectors = torch.linalg.eigh(show_optimizers.hessian(50.0))
    assert values.tolist() == pytest.approx([1.0, 50.0])
    start = vectors.T @ torch.tensor(path[0], dtype=torch.float64)
    shrunk = torch.tensor([(1 - 0.01) ** 20, (1 - 0.5) ** 20]).double() * start
    assert losses[20] == pytest.approx(float((values * shrunk**2).sum() / 2))
    assert show_optimizers.final_loss([1.0, float("nan")]) == float("inf")


def test_the_planned_schedule_equals_that_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []

    def keep(figure: Figure, folder: Path, name: str) -> Path:
        figures.append(figure)
        return save(figure, folder, name)

    monkeypatch.setattr("descent.training.schedule_figure.save", keep)
    words = ["--model.scheduler=schedulers/warmup_plateau.yaml", "--model.scheduler.scheduler.patience=0"]
    words += ["--model.scheduler.scheduler.threshold=0.5"]  # so that no validation counts as better
    run([*SHORT, "--trainer.max_epochs=4", *words])
    run(["show", "schedule", "--ckpt_path", "runs/quickstart/0"])
    assert drawn(tmp_path / "runs/quickstart/0/figures/schedule.png")
    planned, real = (np.asarray(line.get_data(), dtype=float) for line in figures[0].axes[0].get_lines())
    np.testing.assert_array_equal(planned[0], range(12))
    np.testing.assert_allclose(planned, real)
    assert real[1, -1] < 0.5e-3
    assert [axes.get_ylabel() for axes in figures[0].axes] == ["learning rate"], "what is constant has no panel"
    assert "In every step: momentum 0.9, weight decay 0.01." in [text.get_text() for text in figures[0].texts]


def test_a_schedule_before_any_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cli = run([*SCHEDULE, "--model.scheduler=schedulers/one_cycle.yaml"])
    assert cli is None or cli.trainer.global_step == 0
    assert "0.000994 at step 1, 4e-09 at the last of 6 steps" in capsys.readouterr().out
    assert drawn(tmp_path / "schedule.png")
    assert not (tmp_path / "runs").exists()


def test_a_plateau_is_replayed_on_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pd.DataFrame({"val/loss": [1.0, 1.0]}).to_csv("curve.csv")
    plateau = ["--model.scheduler=schedulers/plateau.yaml", "--model.scheduler.patience=0"]
    run([*SCHEDULE, *plateau, "--trainer.max_epochs=3", "--validation=curve.csv", "--out=figures"])
    assert "0.0005 at the last of 9 steps, 2 validations replayed" in capsys.readouterr().out
    assert drawn(tmp_path / "figures" / "schedule.png")


def test_a_plateau_without_a_table_gives_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    run([*SCHEDULE, "--model.scheduler=schedulers/plateau.yaml"])
    assert "drawn without a reduction. Replay a curve with --validation CSV" in capsys.readouterr().err


def test_mistakes(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    plateau = [*SCHEDULE, "--model.scheduler=schedulers/plateau.yaml"]
    Path("empty.csv").touch()
    pd.DataFrame({"loss": [1.0]}).to_csv("other.csv", index=False)
    assert "no column 'val/loss'; there are loss." in refused([*plateau, "--validation=other.csv"], capsys)
    assert "empty.csv is not a CSV table" in refused([*plateau, "--validation=empty.csv"], capsys)
    assert "nowhere.csv" in refused([*plateau, "--validation=nowhere.csv"], capsys)
    warmup = [*SCHEDULE, "--model.scheduler.fraction=null", "--model.scheduler.steps=500"]
    assert "Warmup: steps: 500 (500 steps) is not shorter than the run of 6" in refused(warmup, capsys)
    cycle = [*SCHEDULE, "--model.optimizer=optimizers/sgd.yaml", "--model.scheduler=schedulers/one_cycle.yaml"]
    assert "OneCycle cycles momentum, but SGD has none here" in refused(cycle, capsys)
