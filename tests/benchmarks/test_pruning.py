"""The benchmarks of training on less: a round compares runs of as many samples, or of as much work."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.common.command_line import read_csv, write_csv
from benchmarks.pruning import figure, fine_tuning, other_methods
from benchmarks.pruning.__main__ import Row, one_round, plan, summary
from benchmarks.pruning.residual import Residual
from benchmarks.pruning.tasks import NoisyDigits, tasks
from cli import main as descent
from datamodules import DigitsDataModule


@pytest.fixture
def _quiet() -> Iterator[None]:
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_quiet")
def test_a_round_has_an_ordinary_run_of_as_many_samples_for_each_pruned_one() -> None:
    (task,) = (task for task in tasks(Path()) if task.name == "diabetes")
    rows = list(one_round(task._replace(epochs=4), seed=0, ratios=(0.5,)))
    assert [(row.method, row.ratio, row.epochs) for row in rows] == [
        ("plain", 0.0, 4),
        ("pruned", 0.5, 4),
        ("plain", 0.5, 2),
    ]
    assert rows[0].samples == 4 * 288
    assert rows[1].samples == 4 * 128
    assert rows[2].samples == 2 * 288
    assert all(row.score > 0 and row.seconds > 0 for row in rows)


def test_differences_are_paired_by_seed() -> None:
    def row(method: str, ratio: float, seed: int, score: float) -> Row:
        return Row("digits", method, ratio, 4, seed, 1, 64, 1.0, score, 0.1)

    rows = []
    for seed, level in enumerate((0.5, 0.7, 0.9)):
        rows += [row("plain", 0.0, seed, level), row("pruned", 0.5, seed, level - 0.1)]
        rows += [row("plain", 0.5, seed, level - 0.2)]
    text = summary(rows)
    assert "digits, 3 seeds: plain 0.7000" in text
    assert "pruned 0.6000, plain of as many samples 0.5000; difference +0.1000 (+0.1000 to +0.1000)" in text
    assert "to the whole run -0.1000" in text


def test_a_fifth_of_the_training_labels_is_drawn_and_those_of_the_test_are_right() -> None:
    noisy, right = NoisyDigits(), DigitsDataModule()
    wrong = (noisy.training_images().targets != right.training_images().targets).float().mean()
    assert 0.14 < wrong < 0.22  # a tenth of the drawn labels is right by chance
    assert (noisy.test_images().targets == right.test_images().targets).all()


def test_each_method_has_an_ordinary_run_of_as_much_work(tmp_path: Path) -> None:
    source = DigitsDataModule()
    data = other_methods.standardised(source.training_images(), source.test_images(), 20)
    rows = list(other_methods.one_round("digits", data, epochs=2, seed=0))
    whole = rows[0]
    assert whole.steps == 2 * (200 // other_methods.BATCH)
    for method in other_methods.METHODS:
        own, plain = (row for row in rows if method in (row.method, row.equal_to))
        assert own.steps == whole.steps
        assert own.work < whole.work
        assert abs(plain.work - own.work) <= whole.work / whole.steps
    assert f"digits, 1 seeds: plain {whole.score:.4f}" in other_methods.summary(rows)
    write_csv(rows, tmp_path / "rows.csv")
    assert read_csv(other_methods.Row, tmp_path / "rows.csv") == rows


def test_half_of_a_batch_is_selected_the_more_likely_the_higher_its_loss() -> None:
    torch.manual_seed(0)
    network, images = Residual(1), torch.randn(64, 1, 8, 8)
    with torch.no_grad():
        logits = network(images)
    hard = torch.arange(64) < 32
    targets = torch.where(hard, logits.argmin(1), logits.argmax(1))
    chosen = other_methods.selected(network, images, targets, torch.arange(64), torch.Generator(), other_methods.Work())
    assert len(set(chosen.tolist())) == 32
    assert hard[chosen].sum() > 18


def test_frozen_parts_are_not_trained_and_skipped_branches_are_not_computed() -> None:
    network = Residual(1, drop=1.0)
    network.freeze(2)
    network(torch.randn(2, 1, 8, 8), skipped=(2,)).sum().backward()
    trained = [any(value.grad is not None for value in part.parameters()) for part in network.parts]
    assert trained == [False, False, False, True, True, True, True, True]
    assert 7 in network.draw_skipped(torch.Generator())  # the last one's probability is `drop`


def test_fine_tunings_are_of_equal_length_and_have_a_valid_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = list(plan(3, fine_tuning.EPOCHS))
    assert planned[0] == (0.0, 10, 3, False)
    lengths = [((1 - ratio) * epochs if pruned else epochs) for ratio, epochs, _, pruned in planned[1:]]
    assert lengths[::2] == pytest.approx(lengths[1::2])
    monkeypatch.chdir(tmp_path)
    for part, count in (("train", 50), ("test", 120)):
        for number in range(count):
            file = tmp_path / "all" / part / "cat" / f"{number:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    fine_tuning.copy_subset(tmp_path / "all", tmp_path / "images")
    assert [len(list((tmp_path / "images" / part / "cat").iterdir())) for part in ("train", "test")] == [40, 100]
    with pytest.raises(SystemExit) as end:
        descent([*fine_tuning.command(*planned[5]), "--print_config"])
    assert end.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "ratio: 0.7" in printed
    assert "check_val_every_n_epoch: 10" in printed


def test_curves_have_the_mean_and_the_interval_of_each_ratio(tmp_path: Path) -> None:
    rows = []
    for seed, level in enumerate((0.5, 0.7, 0.9)):
        rows.append(Row("digits", "plain", 0.0, 4, seed, 8, 512, 2.0 + seed, level, 0.1))
        rows.append(Row("digits", "pruned", 0.5, 4, seed, 4, 256, (2.0 + seed) * (0.6, 0.5, 9)[seed], level - 0.1, 0.1))
        rows.append(Row("digits", "plain", 0.5, 2, seed, 4, 250, 1.0, 0.6, 0.1))
    half = 4.303 * 0.2 / 3**0.5  # Student's t of two degrees of freedom
    assert figure.curve(rows, "pruned")[0] == pytest.approx((512, 0.7, half), rel=1e-3)
    assert figure.curve(rows, "pruned")[1] == pytest.approx((256, 0.6, half), rel=1e-3)
    assert figure.curve(rows, "plain")[1] == pytest.approx((250, 0.6, 0), abs=1e-9)
    assert figure.curve(rows, "pruned", "seconds")[1][0] == pytest.approx(0.6), (
        "a run that was slowed down is no outlier"
    )
    write_csv(rows, tmp_path / "digits.csv")
    figure.main(["--out", str(tmp_path)])
    assert (tmp_path / "pruning.png").stat().st_size > 5000
