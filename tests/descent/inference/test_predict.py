"""`descent predict --images`: the same predictions as Lightning's loop, any image file, a list of corrupt files."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cli
from benchmarks import predict as benchmark
from datamodules.folder.decoding import ImageFormat, decode
from descent.inference.classifiers import Predictions
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.prediction.image_files import find_images
from descent.inference.prediction.page import prediction_page, spread
from descent.inference.prediction.prediction import FilePredictions
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun
from tests.descent.inference.support import image


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_predictions_equal_those_of_lightnings_loop(colours: TrainedRun) -> None:
    done = cli.main(["predict", "--ckpt_path", str(colours.checkpoint)])
    own = rows(str(colours.run / "predictions.csv"))
    words = ["--images", str(colours.images / "test"), "--out", "out", "--data.eval_batch_size", "7"]
    cli.main(["predict", "--ckpt_path", str(colours.checkpoint), *words])
    found = rows("out/predictions.csv")
    assert done.trainer.predicting is False
    assert len(found) == len(own) == 36
    # Both list the folder class by class, sorted by name.
    assert [row["class"] for row in found] == [row["class"] for row in own]
    assert [row["runner_up"] for row in found] == [row["runner_up"] for row in own]
    for key in ("probability", "runner_up_probability"):
        np.testing.assert_allclose([float(r[key]) for r in found], [float(r[key]) for r in own], atol=2e-6)
    assert list(found[0]) == ["path", "class", "probability", "runner_up", "runner_up_probability"]
    assert not Path("out/corrupt.csv").exists()


def test_many_image_modes_and_corrupt_files(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("mine")
    image(folder / "a" / "plain.png", 0, 5)
    with Image.open(folder / "a" / "plain.png") as opened:
        opened.convert("CMYK").save(folder / "cmyk.jpg")
        opened.convert("RGBA").save(folder / "alpha.png")
        opened.quantize(8).save(folder / "palette.gif")
        opened.resize((301, 77)).save(folder / "wide Ä.webp")
    Image.fromarray(np.full((9, 5), 40000, dtype=np.uint16)).save(folder / "deep.png")
    (folder / "cut.jpg").write_bytes((folder / "cmyk.jpg").read_bytes()[:200])
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no image")
    cli.main(["predict", "--ckpt_path", str(colours.run), "--images", str(folder), "--out", "out"])
    said = capsys.readouterr()
    assert "6 images classified" in said.out
    (answers,) = re.findall(r"^answers     (.*)$", said.out, re.MULTILINE)
    assert sum(int(word) for word in re.findall(r" (\d+)", answers)) == 6
    answers = [line.split() for line in said.out.splitlines() if ".png" in line]
    table = {row["path"]: row for row in rows("out/predictions.csv")}
    assert len(answers) == 3
    for path, answer, probability, *_ in answers:  # the answers for a few images are printed too
        assert answer == table[path]["class"]
        assert abs(float(probability.strip(">%")) / 100 - float(table[path]["probability"])) < 6e-4
    assert "skipped files without an image's file extension: 1" in said.err
    assert "files that could not be decoded (corrupt.csv): 2, e.g. mine/cut.jpg" in said.err
    assert [row["path"] for row in rows("out/corrupt.csv")] == ["mine/cut.jpg", "mine/empty.png"]
    assert len(rows("out/predictions.csv")) == 6
    page = Path("out/predictions.html").read_text()
    assert page.count("<img ") == 6
    assert "mine/cut.jpg" in page
    assert "<script" not in page


def test_without_the_training_images_and_outside_of_the_run_folder(colours: TrainedRun, tmp_path: Path) -> None:
    shutil.copy(colours.checkpoint, "alone.ckpt")
    hidden = colours.images.with_name("hidden")
    shutil.copytree(colours.images / "test" / "red", "red")
    colours.images.rename(hidden)
    try:
        cli.main(["predict", "--ckpt_path", "alone.ckpt", "--images", "red"])
    finally:
        hidden.rename(colours.images)
    classes = [row["class"] for row in rows("predictions/predictions.csv")]
    assert len(classes) == 12
    assert classes.count("red") >= 8


def test_batches_keep_their_order_when_files_fail(tmp_path: Path) -> None:
    form = ImageFormat(8, 8, "RGB", "squash")
    paths = [str(image(tmp_path / f"{i}.png", i % 3, i)) for i in range(30)]
    for broken in (0, 7, 8, 29):
        Path(paths[broken]).write_bytes(b"x")
    for batch_size, workers in ((7, 1), (7, 2), (100, 1)):
        batches = list(decoded_batches(paths, form, batch_size, workers))
        assert len(batches) == -(-30 // batch_size)
        assert [row for batch in batches for row in batch.rows] == [i for i in range(30) if i not in (0, 7, 8, 29)]
        assert sorted(row for batch in batches for row in batch.failures) == [0, 7, 8, 29]
        pixels = torch.cat([batch.pixels for batch in batches])
        assert all((pixels[k].numpy() == decode(paths[i], form)).all() for k, i in ((0, 1), (6, 9), (25, 28)))


def test_decoding_stops_when_the_iterator_is_closed(tmp_path: Path) -> None:
    paths = [str(image(tmp_path / f"{i}.png", 0, i)) for i in range(9)]
    batches = decoded_batches(paths * 50, ImageFormat(8, 8, "L", "crop"), 3, workers=2)
    assert len(next(batches).rows) == 3
    batches.close()  # type: ignore[attr-defined]


def test_find_images(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a/x.jpeg", ".hidden/no.png", "b/.no.png", "b/t.txt", "odd.dat"):
        image(tmp_path / "p.png", 0, 0)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "p.png", tmp_path / name)
    (tmp_path / "p.png").unlink()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = find_images([str(tmp_path), str(tmp_path / "odd.dat"), str(tmp_path / "b" / "2.png")])
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found.paths] == [
        "a/x.jpeg", "b/1.JPG", "b/2.png", "odd.dat",
    ]  # fmt: skip
    assert found.other_files == 2


def test_the_gallery_of_a_label_is_sorted_by_its_probability() -> None:
    probabilities = torch.tensor([[0.9, 0.6], [0.7, 0.9999], [0.1, 0.4], [0.2, 0.1]])
    top = probabilities.topk(2)
    predictions = Predictions(top.indices, top.values, probabilities >= 0.5, probabilities)
    paths = [str(image(Path(f"{i}.png"), 0, i)) for i in range(4)]
    page = prediction_page(FilePredictions(paths, predictions, {}, ["first", "second"]), "n")
    shown = {
        part[: part.index("<")]: re.findall(r'class="file">(?:<a [^>]*>)?(\d)', part)
        for part in re.split(r"<h2[^>]*>", page)[1:]
    }
    assert shown["first"] == ["0", "1"]
    assert shown["second"] == ["1", "0"]
    assert shown["no label"] == ["3", "2"]
    assert "&gt; 99.9%" in page


def test_spread_keeps_both_ends() -> None:
    assert spread(list(range(100)), 4) == [0, 33, 66, 99]
    assert spread([5, 6], 1) == [5]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (["nowhere"], r"--images nowhere does not exist; give a folder or image files"),
        (["ful"], r"did you mean full\?"),
        (["empty"], r"no images in empty, 0 other files; file extensions of images: \.apng"),
        (["full/broken.png"], r"none of 1 files could be decoded; full/broken\.png: "),
        ([], r"--images: expected at least one argument"),
    ],
)
def test_mistakes(colours: TrainedRun, images: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/broken.png").write_bytes(b"x")
    line = refused(["predict", "--ckpt_path", str(colours.run), "--images", *images], capsys)
    assert re.search(said, line), line


def test_no_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    image(Path("a.png"), 0, 0)
    assert "descent predict needs --ckpt_path" in refused(["predict", "--images", "x"], capsys)
    assert "checkpoint not found: x.ckpt" in refused(["predict", "--images", ".", "--ckpt_path", "x.ckpt"], capsys)


def test_the_benchmark_runs(
    colours: TrainedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(colours.run), str(colours.images / "test"), "--count", "20", "--rounds", "1"]
    monkeypatch.setattr("sys.argv", ["predict", *words])
    benchmark.main()
    said = capsys.readouterr().out
    assert re.search(r"20 images, 1 rounds\nnetwork .* 1\.000 .*\ndecoded .*\nfiles .*\ndecoding ", said)
