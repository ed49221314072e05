"""`descent evaluate` of a classifier as a command: a labelled folder, the run's test data, messages."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import sklearn.metrics as sk

import cli
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun
from tests.descent.inference.support import COLOURS


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
