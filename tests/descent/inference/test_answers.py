"""Options of `descent predict`: top-k, every probability, thresholds, temperature, mirror images, JSON; a page's faults."""

import csv
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import norm

import cli
from descent.inference.classifiers import AnswerOptions, mean_probabilities, predictions_from_output
from descent.inference.evaluation.mirror_gain import MirrorGain
from descent.inference.evaluation.usable_temperature import held_out_calibration, usable_temperature
from descent.inference.page_elements import Budget, Thumbnail, gallery
from descent.inference.prediction.options import checked_threshold, checked_top_k
from descent.inference.prediction.prediction import FilePredictions
from descent.inference.prediction.table import answer_lines, json_text, write_table
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun
from tests.descent.inference.test_loading import trained

LABELS = MultilabelClassifier(torch.nn.Linear(2, 3), torch.optim.SGD, num_labels=3)
CLASSES = ImageClassifier(torch.nn.Linear(2, 3), torch.optim.SGD)
BINARY = BinaryClassifier(torch.nn.Linear(2, 1), torch.optim.SGD)
NAMES = ["cat", "dog", "2"]


def predict(colours: TrainedRun, *words: str) -> Any:
    return cli.main(["predict", "--ckpt_path", str(colours.run), "--out", "out", *words])


def table(file: Path | str = "out/predictions.csv") -> list[dict[str, str]]:
    with Path(file).open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


def found(output: Sequence[Sequence[float]], module: Any, numbered: bool = False, **options: Any) -> FilePredictions:
    predictions = predictions_from_output(module, torch.tensor(output), options=AnswerOptions(**options))
    return FilePredictions([f"{i}.png" for i in range(len(output))], predictions, {}, NAMES, numbered)


def test_one_image_with_every_option(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(colours.images / "test" / "red" / "0.png")
    predict(colours, "--images", file)
    (plain,) = table()
    words = ["--images", file, file, "--top_k", "3", "--all_probabilities", "--temperature", "2", "--tta"]
    capsys.readouterr()
    predict(colours, *words)
    said = capsys.readouterr()
    (row,) = table()
    columns = ["path", "class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
    assert list(row) == [*columns, *(f"probability_of_{name}" for name in ("blue", "green", "red"))]
    assert row["path"] == file, "absolute, as it was given"
    assert sum(float(row[key]) for key in columns[2::2]) == pytest.approx(1, abs=3e-6)
    assert all(row[f"probability_of_{row[name]}"] == row[f"probability{name[5:]}"] for name in columns[1::2])
    assert "temperature 2, as given" in said.err
    first = said.out.splitlines()[0]
    assert first.startswith(f"{file}  {row['class']} ")
    assert f"(then {row['class_2']} " in first
    assert re.search(rf", {row['class_3']} [<>\d.% ]+\)$", first)
    predict(colours, *words, "--json")
    printed = json.loads(capsys.readouterr().out)
    (record,) = printed["predictions"]
    assert {key: f"{value:.6f}" if isinstance(value, float) else value for key, value in record.items() if key in row} == {
        key: row[key] for key in columns
    }  # fmt: skip
    assert record["probabilities"]["red"] == float(row["probability_of_red"])
    assert printed["checkpoint"].endswith(".ckpt")
    assert (printed["temperature"], printed["tta"], printed["not_decoded"]) == (2, True, {})
    assert list(plain) == ["path", "class", "probability", "runner_up", "runner_up_probability"]


def test_mirror_images_and_temperature_by_hand(colours: TrainedRun) -> None:
    """The mean over an image and its mirror image is that of the two files; the temperature divides the logits."""
    with Image.open(colours.images / "test" / "green" / "1.png") as image:
        image.save("a.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("b.png")
    predict(colours, "--images", "a.png", "b.png", "--all_probabilities")
    columns = [f"probability_of_{name}" for name in ("blue", "green", "red")]
    both = np.array([[float(row[name]) for name in columns] for row in table()])
    predict(colours, "--images", "a.png", "--all_probabilities", "--tta")
    mean = np.array([float(table()[0][name]) for name in columns])
    np.testing.assert_allclose(mean, both.mean(axis=0), atol=2e-6)
    assert abs(both[0] - both[1]).max() > 1e-4, "else the test could not fail"
    predict(colours, "--images", "a.png", "--all_probabilities", "--tta", "--temperature", "3")
    wanted = mean ** (1 / 3) / (mean ** (1 / 3)).sum()
    np.testing.assert_allclose([float(table()[0][name]) for name in columns], wanted, atol=5e-5)


def test_evaluate_shows_the_gain_of_mirror_images(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--ckpt_path", str(colours.run), "--json"]
    cli.main([*words, "--out", "plain", "--images", str(colours.images / "test")])  # the same images, as files
    plain = json.loads(capsys.readouterr().out)
    cli.main([*words, "--out", "tta", "--tta"])
    found = json.loads(capsys.readouterr().out)
    assert "tta" not in plain
    gain = found["tta"]
    assert gain["accuracy_without"] == plain["accuracy"]
    assert gain["difference"] == pytest.approx(found["accuracy"] - plain["accuracy"])
    assert gain["only_right_with"] - gain["only_right_without"] == found["right"] - plain["right"]
    assert "points of accuracy (95% interval" in Path("tta/evaluation.html").read_text()


def test_the_gain_s_interval_and_test() -> None:
    gain = MirrorGain(samples=200, right_without=150, gained=12, lost=3)
    assert gain.p_value == pytest.approx(0.035156, abs=1e-6)  # 2 · P(X ≤ 3), X of Bin(15, ½)
    b, c, n = 12.5, 3.5, 202.0  # Agresti and Min, written out
    se = np.sqrt((b / n + c / n - ((b - c) / n) ** 2) / n)
    wanted = (b - c) / n + np.array([-1, 1]) * norm.ppf(0.975) * se
    np.testing.assert_allclose(gain.interval, wanted, rtol=1e-6)
    assert "no clear difference" not in gain.sentence()
    assert "no clear difference" in MirrorGain(200, 150, 3, 3).sentence()
    assert MirrorGain(1, 1, 0, 0).p_value == 1


def test_names_of_columns_never_collide(tmp_path: Path) -> None:
    """A class may be called 2: `probability_2` is the second class's, `probability_of_2` that class's."""
    write_table(found([[3.0, 1.0, 2.0]], CLASSES, True, top_k=3, every_class=True), tmp_path / "a.csv")
    (row,) = table(tmp_path / "a.csv")
    assert len(row) == 1 + 6 + 3
    assert (row["class_2"], row["probability_2"]) == ("2", row["probability_of_2"])
    write_table(found([[3.0, 1.0, 2.0]], CLASSES, True, top_k=1), tmp_path / "b.csv")
    assert list(table(tmp_path / "b.csv")[0]) == ["path", "class", "probability"]


def test_thresholds(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("cat: 0.9\n2: 0.1\n")
    (tmp_path / "t.json").write_text('{"cat": 0.9, "2": 0.1}')
    wanted = torch.tensor([0.9, 0.5, 0.1])
    for words in (["cat=0.9", "2=0.1"], [str(tmp_path / "t.yaml")], [str(tmp_path / "t.json")]):
        assert torch.equal(torch.as_tensor(checked_threshold(words, LABELS, NAMES)), wanted), words
    output = torch.tensor([[0.8, 0.6, 0.2]]).logit()
    answer = found(output.tolist(), LABELS, threshold=wanted)
    assert answer.predictions.labels is not None
    assert answer.predictions.labels.tolist() == [[False, True, True]]
    assert answer_lines(answer) == ["0.png  dog 60.0%, 2 20.0%"]
    assert json.loads(json_text(answer, {}))["predictions"] == [
        {"path": "0.png", "labels": ["dog", "2"], "probabilities": {"cat": 0.8, "dog": 0.6, "2": 0.2}}
    ]
    assert checked_threshold(["0.7"], LABELS, NAMES) == 0.7
    for threshold, positive in ((0.25, 1), (0.35, 0)):
        one = predictions_from_output(BINARY, torch.tensor([0.3]).logit(), options=AnswerOptions(threshold=threshold))
        assert one.classes.tolist() == [[positive, 1 - positive]]


@pytest.mark.parametrize(
    ("words", "module", "said"),
    [
        (["0"], BINARY, r"--threshold must be in \(0, 1\), got 0\.0"),
        (["nan"], LABELS, r"must be in \(0, 1\), got nan"),
        (["cat=1.5"], LABELS, r"must be in \(0, 1\), got cat=1\.5"),
        (["cat=x"], LABELS, r"must be in \(0, 1\), got cat=x"),
        (["cta=0.5"], LABELS, r"no label cta\. Did you mean cat\?"),
        (["half"], LABELS, r"a number in \(0, 1\), LABEL=NUMBER, or a file .*, got half"),
        (["list.yaml"], LABELS, r"must hold one LABEL: NUMBER for each label, got \[0\.5\]"),
        (["broken.json"], LABELS, r"broken\.json cannot be read"),
        (["dog=0.5"], BINARY, "one threshold, for the class dog; give one number"),
        (["0.5"], CLASSES, "a ImageClassifier predicts the most probable class"),
    ],
)
def test_wrong_thresholds(words: list[str], module: Any, said: str) -> None:
    Path("list.yaml").write_text("[0.5]")
    Path("broken.json").write_text("{")
    with pytest.raises(UserError, match=said):
        checked_threshold(words, module, NAMES)


def test_other_wrong_options(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "--ckpt_path", str(colours.run), "--images", str(colours.images / "test" / "red" / "0.png")]
    for given, said in (
        (["--top_k", "4"], "--top_k must be in [1, 3], the number of classes, got 4"),
        (["--top_k", "x"], "--top_k must be an integer, got x"),
        (["--temperature", "0"], "--temperature must be a number > 0 or fitted, got 0"),
        (["--temperature", "inf"], "--temperature must be a number > 0 or fitted, got inf"),
        (["--data.root", "gone", "--temperature", "fitted"], "needs the run's validation data, which cannot be opened"),
    ):
        assert said in refused([*words, *given], capsys)
    with pytest.raises(UserError, match="predicts labels"):
        checked_top_k(2, LABELS, NAMES)
    with pytest.raises(
        UserError, match="--temperature is for networks that predict one class; this one predicts labels"
    ):
        usable_temperature(trained(LABELS), LABELS, 2.0)


def test_a_temperature_is_used_only_where_it_helps(
    colours: TrainedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation data that is as confident as it is right gives no usable temperature; overconfident data does."""
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(600, 3, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    calibrated, overconfident = logits.log_softmax(1), (3 * logits).log_softmax(1)
    assert held_out_calibration(overconfident, targets).helps
    place = "descent.inference.evaluation.usable_temperature.validation_log_probabilities"
    words = ["--images", str(colours.images / "test" / "red" / "0.png"), "--temperature", "fitted"]
    (colours.run / "evaluation" / "evaluation.json").unlink(missing_ok=True)  # of another test
    monkeypatch.setattr(place, lambda *_: (overconfident, targets))
    predict(colours, *words)
    value = re.search(r"temperature (\d\.\d+), fitted on 600 validation samples", capsys.readouterr().err)
    assert value is not None
    assert float(value[1]) == pytest.approx(3, rel=0.15)
    monkeypatch.setattr(place, lambda *_: (overconfident[:19], targets[:19]))
    line = refused(["predict", "--ckpt_path", str(colours.run), *words], capsys)
    assert "--temperature fitted needs at least 20 validation samples, the run has 19" in line
    pieces = zip(calibrated.split(25), targets.split(25), strict=True)
    noise = next(piece for piece in pieces if not held_out_calibration(*piece).helps)  # a fit to 25 samples
    monkeypatch.setattr(place, lambda *_: noise)
    line = refused(["predict", "--ckpt_path", str(colours.run), *words], capsys)
    assert "does not help on validation samples that it was not fitted on" in line
    monkeypatch.setattr(place, lambda *_: (overconfident, targets))
    _write_evaluation(colours, ece=0.02, ece_after=0.03)
    try:
        line = refused(["predict", "--ckpt_path", str(colours.run), *words], capsys)
    finally:
        (colours.run / "evaluation" / "evaluation.json").unlink()
    assert (
        "on the 36 samples of the run's evaluation it made the calibration error worse, 2.00% without and 3.00%" in line
    )


def _write_evaluation(colours: TrainedRun, **calibration: float) -> None:
    file = colours.run / "evaluation" / "evaluation.json"
    file.parent.mkdir(exist_ok=True)
    best = colours.run / "checkpoints" / "best.ckpt"
    file.write_text(json.dumps({"checkpoint": str(best), "samples": 36, "calibration": calibration}))
    os.utime(file, (best.stat().st_mtime + 10,) * 2)


def test_a_page_s_fault_loses_no_answer(
    colours: TrainedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError("in a page")

    monkeypatch.setattr("descent.inference.prediction.page._galleries", fault)
    file = str(colours.images / "test" / "red" / "0.png")
    predict(colours, "--images", file)
    said = capsys.readouterr()
    assert (
        said.err == "the page lacks “Images of each class” (ZeroDivisionError: in a page); the tables are complete.\n"
    )
    assert said.out.startswith(f"{file}  ")
    assert "Images per class" in Path("out/predictions.html").read_text()
    monkeypatch.setattr("descent.inference.prediction.page._groups", fault)
    predict(colours, "--images", file)
    assert "predictions.html could not be made (ZeroDivisionError: in a page)" in capsys.readouterr().err
    assert len(table()) == 1


@pytest.mark.parametrize("size", [(2000, 5), (1, 300), (300, 1), (1, 20_000)])
def test_very_long_images(colours: TrainedRun, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save("thin.png")
    predict(colours, "--images", "thin.png")
    assert Path("out/predictions.html").read_text().count("<img ") == 1


def test_an_image_that_is_gone_when_the_page_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    def gone() -> Image.Image:
        raise FileNotFoundError("a.png")

    there = Thumbnail(lambda: Image.new("RGB", (9, 9)), "b.png", ("b",))
    text, count = gallery([Thumbnail(gone, "a.png", ("cat",)), there, Thumbnail(gone, "c", ("c",))], Budget())
    assert (count, text.count("<img "), text.count("not shown: a.png")) == (3, 1, 2)
    assert capsys.readouterr().err == "the page cannot show every image, and says so there: a.png: a.png\n"


def test_mean_probabilities_of_two_views() -> None:
    views = torch.tensor([[[1.0, 2.0, 0.0]], [[0.0, 1.0, 3.0]]])
    mean = views.softmax(2).mean(0)
    torch.testing.assert_close(mean_probabilities(CLASSES, list(views)), mean)
    scaled = mean ** (1 / 2) / (mean ** (1 / 2)).sum()
    torch.testing.assert_close(mean_probabilities(CLASSES, list(views), 2.0), scaled)
