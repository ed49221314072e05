"""The page of a classifier's evaluation, and the files beside it."""

import json
import re
from pathlib import Path

import pytest
import sklearn.metrics as sk
import torch
from PIL import Image

from descent.inference.evaluation.calibration import fit_temperature
from descent.inference.evaluation.classification import classification_report
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_predictions import LabelledPredictions
from descent.inference.evaluation.page import evaluation_page
from descent.inference.evaluation.report import write_report
from tests.descent.inference.evaluation.support import random_logits


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
