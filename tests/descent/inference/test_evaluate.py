"""`descent evaluate`: numbers compared with scikit-learn, torchmetrics, statsmodels and by hand; messages."""

import csv
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from PIL import Image
from statsmodels.stats.proportion import proportion_confint
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassCalibrationError

import cli
from descent.inference.evaluation.calibration import apply_temperature, calibration_bins, fit_temperature, mean_nll
from descent.inference.evaluation.class_scores import class_scores, wilson_interval
from descent.inference.evaluation.classification import classification_report
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_predictions import LabelledPredictions
from descent.inference.evaluation.page import evaluation_page
from descent.inference.evaluation.report import write_report
from lightning_modules import BinaryClassifier
from lightning_modules.losses import ProbabilityBCELoss
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun
from tests.descent.inference.support import COLOURS


def random_logits(count: int = 500, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return overconfident logits and the true classes."""
    g = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, (count,), generator=g)
    logits = torch.randn(count, classes, generator=g, dtype=torch.float64)
    logits[torch.arange(count), targets] += 1.0
    return 2.5 * logits, targets


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (8, 10), (8798, 10000), (1, 1)])
def test_the_interval_equals_statsmodels(right: int, count: int) -> None:
    np.testing.assert_allclose(
        wilson_interval(right, count), proportion_confint(right, count, method="wilson"), atol=1e-12
    )


def test_scores_equal_scikit_learn() -> None:
    logits, targets = random_logits()
    choices = logits.argmax(1)
    choices[choices == 3] = 2  # a class that is never predicted
    targets[targets == 4] = 0  # and a class without samples
    scores = class_scores(choices, targets, list("abcde"))
    found = np.array([score[4:] for score in scores])
    expected = sk.precision_recall_fscore_support(targets, choices, labels=range(5), zero_division=np.nan)
    np.testing.assert_allclose(found, np.stack(expected[:3], axis=1), atol=1e-12)
    assert math.isnan(scores[3].precision)
    assert math.isnan(scores[4].recall)


def test_scores_by_hand() -> None:
    # true a: 3 predicted as a, 1 as b; true b: 2 as a, 4 as b
    choices, targets = torch.tensor([0] * 3 + [1] + [0] * 2 + [1] * 4), torch.tensor([0] * 4 + [1] * 6)
    first, second = class_scores(choices, targets, ["a", "b"])
    assert (first.precision, first.recall) == (3 / 5, 3 / 4)
    assert (second.precision, second.recall) == (4 / 5, 4 / 6)
    assert second.f1 == pytest.approx(2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6))


def test_calibration_error_equals_torchmetrics_and_a_hand_computation() -> None:
    logits, targets = random_logits()
    probabilities = logits.softmax(1)
    sure, choices = probabilities.max(1)
    expected = MulticlassCalibrationError(5, n_bins=15, norm="l1")(probabilities, targets)
    assert calibration_bins(sure, choices == targets).ece == pytest.approx(float(expected), abs=1e-7)
    # two of ten bins: 0.95 with 1 of 2 correct, 0.55 with 2 of 2 correct: (0.45 + 0.45) / 2
    hand = calibration_bins(torch.tensor([0.95, 0.95, 0.55, 0.55]), torch.tensor([True, False, True, True]), bins=10)
    assert hand.ece == pytest.approx(0.45, abs=1e-6)
    assert hand.counts.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    ends = calibration_bins(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    assert ends.ece == 0.0


def test_the_gradient_at_the_temperature_is_zero() -> None:
    logits, targets = random_logits(2000)
    found = fit_temperature(logits.log_softmax(1), targets)
    inverse = torch.tensor(1 / found.value, dtype=torch.float64, requires_grad=True)
    cross_entropy(logits * inverse, targets).backward()
    assert inverse.grad is not None
    assert abs(float(inverse.grad)) < 1e-5
    assert found.value > 1.5, "the logits are overconfident"
    assert not found.at_search_limit
    assert mean_nll(apply_temperature(logits.log_softmax(1), found.value), targets) == pytest.approx(
        float(cross_entropy(logits / found.value, targets))
    )


def test_a_temperature_at_the_search_limit_is_reported() -> None:
    targets = torch.tensor([0, 1, 0, 1])
    logits = torch.nn.functional.one_hot(targets, 2).double()
    assert fit_temperature(logits.log_softmax(1), targets).at_search_limit


@pytest.mark.parametrize("loss", [None, ProbabilityBCELoss()])
def test_log_probabilities_of_a_binary_classifier(loss: torch.nn.Module | None) -> None:
    module = BinaryClassifier(torch.nn.Linear(3, 1), optimizer=torch.optim.SGD, loss=loss)
    output = module(torch.randn(50, 3))
    found = module.log_probabilities(output)
    assert torch.allclose(found.exp(), module.probabilities(output), atol=1e-6)
    assert torch.allclose(found.exp().sum(1), torch.ones(50), atol=1e-6)
    if loss is None:
        assert module.log_probabilities(torch.tensor([-200.0]))[0].tolist() == [0.0, -200.0]


def test_a_labelled_folder(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["evaluate", "--ckpt_path", str(colours.run), "--images", str(colours.images / "test"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    folder = colours.run / "evaluation"
    assert printed == json.loads((folder / "evaluation.json").read_text())
    with (folder / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    truth, predicted = [row["true_class"] for row in rows], [row["class"] for row in rows]
    assert [Path(row["sample"]).parent.name for row in rows] == truth
    assert printed["accuracy"] == sk.accuracy_score(truth, predicted)
    assert printed["f1_macro"] == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert printed["confusion"] == sk.confusion_matrix(truth, predicted).tolist()
    assert 0.5 < printed["accuracy"] < 1, "the page must show mistakes"
    assert printed["calibration"]["fitted_on"] == 17
    page = (folder / "evaluation.html").read_text()
    assert f"Accuracy {printed['accuracy']:.2%}: {printed['right']} of 36 samples are classified correctly" in page
    mistakes, _, explained = page.partition('id="mistakes"')[2].partition('id="explanations"')
    assert mistakes.count("<img ") == 36 - printed["right"]
    assert explained.count("<img ") == min(12, 36 - printed["right"]), "Grad-CAM of the most confident ones"


def test_accuracy_on_the_test_data_equals_descent_test(colours: TrainedRun) -> None:
    done = cli.main(["test", "--ckpt_path", str(colours.run)])
    cli.main(["evaluate", "--ckpt_path", str(colours.run), "--out", "own"])
    found = json.loads(Path("own/evaluation.json").read_text())
    assert found["accuracy"] == pytest.approx(float(done.trainer.callback_metrics["test/accuracy"]))
    assert found["remarks"] == ["Evaluated on the run's own test data."]


def test_images_that_the_run_was_trained_on_are_counted(
    colours: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in COLOURS:
        shutil.copytree(colours.images / "test" / name, f"mixed/{name}")
    shutil.copy(colours.images / "train" / "red" / "3.png", "mixed/red/under another name.png")
    shutil.copytree(colours.images / "train" / "blue", "mixed/blue", dirs_exist_ok=True)
    cli.main(["evaluate", "--ckpt_path", str(colours.run), "--images", "mixed", "--out", "out"])
    said = capsys.readouterr().err
    counts = {verb: int(count) for verb, count in re.findall(r"The run was (\w+) on (\d+) of these", said)}
    assert sum(counts.values()) == 1 + 30, "by content, whatever their names are"
    assert 15 <= counts["trained"] < 31, "the others were used for validation"
    for sentence in re.findall(r"The run was .*", said):
        assert sentence in Path("out/evaluation.html").read_text()
    cli.main(["evaluate", "--ckpt_path", str(colours.run), "--images", str(colours.images / "test"), "--out", "out"])
    assert "The run was" not in capsys.readouterr().err


def test_missing_classes_and_corrupt_files(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(colours.images / "test" / "red", "some/red")
    Path("some/red/broken.png").write_bytes(b"x")
    Path("some/blue").mkdir()
    hidden = colours.images.with_name("hidden")
    colours.images.rename(hidden)
    try:
        cli.main(["evaluate", "--ckpt_path", str(colours.checkpoint), "--images", "some", "--out", "out"])
    finally:
        hidden.rename(colours.images)
    said = capsys.readouterr().err
    assert "No images of blue, green: the recall of these classes is not known." in said
    assert "Files that could not be decoded: 1, e.g. some/red/broken.png" in said
    assert "No temperature was fitted, because the run's validation data cannot be opened" in said
    found = json.loads(Path("out/evaluation.json").read_text())
    assert found["classes"][0]["recall"] is None
    assert "temperature" not in found["calibration"]
    assert "Corrupt files" in Path("out/evaluation.html").read_text()


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (
            ["Red", "green"],
            r"does not know: Red \(did you mean red\?\)\. Its classes are blue, green, red\. Rename or remove",
        ),
        (["train", "test"], r"x contains test, train: did you mean --images x/train\?"),
        (
            [],
            r"x has no folders: put the images into x/<class>/, with the classes blue, green, red\. To classify images without",
        ),
        (["red"], r"no images in the class folders of x: red"),
    ],
)
def test_wrong_class_folders(
    colours: TrainedRun, folders: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x").mkdir()
    for name in folders:
        Path("x", name).mkdir()
    assert re.search(said, refused(["evaluate", "--ckpt_path", str(colours.run), "--images", "x"], capsys))


def test_wrong_arguments(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    def line(*words: str) -> str:
        return refused(["evaluate", *words], capsys)

    run = str(colours.run)
    assert "descent evaluate needs --ckpt_path" in line("--images", "x")
    assert "unknown argument --imges" in line("--ckpt_path", run, "--imges", "x")
    Path("file").touch()
    assert "--images file is a file" in line("--ckpt_path", run, "--images", "file")
    assert "--images gone does not exist" in line("--ckpt_path", run, "--images", "gone")
    assert "--images: expected one argument" in line("--ckpt_path", run, "--images")


def test_many_classes_are_a_figure_and_names_are_escaped() -> None:
    logits, targets = random_logits(400, classes=30)
    names = [f"<b>{number}" for number in range(30)]
    outputs = LabelledPredictions(
        logits.log_softmax(1), logits.argmax(1), targets, [str(i) for i in range(400)], None, {}
    )
    page = evaluation_page(Evaluation(outputs, names), "n")
    assert "<b>" not in page
    assert 'id="map"' in page
    assert "<img" not in page


def test_a_tie_of_confusions_is_stated() -> None:
    classes, targets = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([0, 1, 2, 0, 1])
    log_probabilities = torch.full((5, 3), 1 / 3, dtype=torch.float64).log()
    predictions = LabelledPredictions(log_probabilities, classes, targets, list("abcde"), None, {})
    evaluation = Evaluation(predictions, ["x", "y", "z"])
    assert evaluation.confused_pairs() == [(0, 1, 1), (1, 0, 1)]
    assert evaluation.confusion.tolist() == sk.confusion_matrix(targets, classes).tolist()
    page = evaluation_page(evaluation, "n")
    expected = "x is predicted as y (1 of 5 samples); other pairs of classes that are confused as often: 1."
    assert expected in page


def judged(classes: list[int], targets: list[int], names: list[str], sure: float = 0.9) -> Evaluation:
    """Return the evaluation of these answers."""
    probabilities = torch.full((len(classes), len(names)), (1 - sure) / max(1, len(names) - 1), dtype=torch.float64)
    probabilities[torch.arange(len(classes)), torch.tensor(classes)] = sure
    samples = [str(number) for number in range(len(classes))]
    outputs = LabelledPredictions(
        probabilities.log(), torch.tensor(classes), torch.tensor(targets), samples, None, {}
    )  # fmt: skip
    return Evaluation(outputs, names)


def test_an_accuracy_that_hides_a_class_is_not_left_alone() -> None:
    found = judged([0] * 101, [0] * 100 + [1], ["whole", "defect"])
    page = evaluation_page(found, "runs/parts/4/checkpoints/best.ckpt")
    assert "The most common class, whole, would give 99.01%." in page
    assert "Balanced accuracy (the mean of the classes&#x27; recalls): 50.00%." in page
    assert "None of 1 sample of defect was found." in page
    assert "This is no better than always answering with the most common class" in page
    assert "<title>Evaluation of parts/4</title>" in page
    assert found.summary()["balanced_accuracy"] == sk.balanced_accuracy_score([0] * 100 + [1], [0] * 101)
    good = evaluation_page(judged([0, 1] * 50, [0, 1] * 50, ["a", "b"]), "n")
    assert "Balanced" not in good
    assert "no better than" not in good


def test_the_worst_class_comes_first_with_the_interval_of_its_recall() -> None:
    page = evaluation_page(judged([0] * 8 + [1] * 2 + [1] * 10, [0] * 10 + [1] * 10, ["b", "a"]), "n")
    rows = re.findall(r'<tr><th scope="row">(\w+)</th><td>10</td>.*?<td>([^<]*to[^<]*)</td>', page)
    assert rows == [("b", "80.0% (49% to 94%)"), ("a", "100.0% (72% to 100%)")]


def test_thousands_of_classes_need_no_square_of_them(tmp_path: Path) -> None:
    count = 6000
    found = judged([*range(count - 1), 0], list(range(count)), [f"c{number}" for number in range(count)])
    text = write_report(classification_report(found, "n"), tmp_path)
    assert json.loads(text)["confusions"] == [["c5999", "c0", 1]]
    assert (tmp_path / "confusion.csv").read_text() == "true class,predicted class,samples\nc5999,c0,1\n"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3_000_000
    assert "The other 5,900 classes are in classes.csv." in (tmp_path / "evaluation.html").read_text()


def test_an_error_in_the_page_loses_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> str:
        raise ValueError("a page that cannot be made")

    monkeypatch.setattr("descent.inference.evaluation.classification.evaluation_page", broken)
    write_report(classification_report(judged([0, 1], [0, 1], ["a", "b"]), "n"), tmp_path)
    said = capsys.readouterr().err
    assert said == (
        "evaluation.html could not be made (ValueError: a page that cannot be made); the other files are complete.\n"
    )
    assert "ValueError: a page that cannot be made" in (tmp_path / "evaluation.html").read_text()
    assert json.loads((tmp_path / "evaluation.json").read_text())["accuracy"] == 1


def test_a_temperature_that_does_not_help_is_said_not_to(tmp_path: Path) -> None:
    logits, targets = random_logits()
    found = fit_temperature(logits.log_softmax(1), targets)
    outputs = LabelledPredictions(
        logits.log_softmax(1), logits.argmax(1), targets, [str(i) for i in range(500)], None, {}
    )  # fmt: skip
    names = list("abcde")
    assert "no better, so use the probabilities as they are" not in evaluation_page(
        Evaluation(outputs, names, found), "n"
    )
    assert "no better, so use the probabilities as they are" in evaluation_page(
        Evaluation(outputs, names, found._replace(value=0.5)), "n"
    )


def test_images_of_a_confusion_are_linked_from_the_matrix(tmp_path: Path) -> None:
    file = tmp_path / "thin one.png"
    Image.new("RGB", (1, 3000)).save(file)
    found = judged([1, 0, 2, 0], [0, 0, 2, 2], ["a", "b", "c"])
    found.predictions.names[0] = str(file)
    found.predictions.load_image = lambda _: Image.open(file)
    page = evaluation_page(found, "n")
    for group in ("0-1", "2-0"):
        assert page.count(f'href="#group-{group}"') == page.count(f'id="group-{group}"') == 1
    assert f'<a href="{file.as_uri()}"' in page
    assert 'section:has(#only-2:checked) li:not([data-group^="2-"])' in page
