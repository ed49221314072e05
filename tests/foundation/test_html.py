"""Pages in a real browser: nothing said on the console, nothing sticks out, readable, reachable by keyboard."""

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from descent.inference.classifiers import Predictions
from descent.inference.evaluation.calibration import fit_temperature
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_predictions import LabelledPredictions
from descent.inference.evaluation.labels.evaluation import MultilabelEvaluation
from descent.inference.evaluation.labels.page import multilabel_page
from descent.inference.evaluation.outputs import Samples
from descent.inference.evaluation.page import evaluation_page
from descent.inference.evaluation.regression.evaluation import RegressionEvaluation
from descent.inference.evaluation.regression.page import regression_page
from descent.inference.evaluation.segmentation.evaluation import SegmentationEvaluation
from descent.inference.evaluation.segmentation.page import segmentation_page
from descent.inference.page_elements import Budget, Thumbnail, gallery
from descent.inference.prediction.page import prediction_page
from descent.inference.prediction.prediction import FilePredictions
from foundation.figure_style import COLORS
from foundation.html.elements import contrast, shade, shaded
from foundation.html.style import STYLE
from foundation.html.svg import THEMED
from tests.browser import browse
from tests.descent.inference.support import COLOURS, image


def evaluation(folder: Path) -> str:
    g = torch.Generator().manual_seed(0)
    targets = torch.arange(60) % 3
    log_probabilities = (torch.randn(60, 3, generator=g).double() + 2 * torch.eye(3)[targets]).log_softmax(1)
    file = image(folder / "a.png", 0, 0)
    outputs = LabelledPredictions(
        log_probabilities, log_probabilities.argmax(1), targets, [f"a/rather/long/path/of/image_{i}" for i in range(60)],
        lambda row: Image.open(file), {"b.png": "cut off"},
    )  # fmt: skip
    found = Evaluation(outputs, list(COLOURS), fit_temperature(log_probabilities, targets))
    return evaluation_page(found, "runs/a/0/checkpoints/best.ckpt", ["Measured on images."])


def regression(folder: Path) -> str:
    g = np.random.default_rng(0)
    targets, file = g.normal(size=80), image(folder / "a.png", 0, 0)
    samples = Samples([f"a/rather/long/path/of/image_{i}" for i in range(80)], lambda row: Image.open(file))
    return regression_page(RegressionEvaluation(targets + g.normal(size=80), targets, samples), "best.ckpt")


def segmentation(folder: Path) -> str:
    g, file = torch.Generator().manual_seed(0), image(folder / "a.png", 0, 0)
    targets = torch.randint(0, 3, (30, 24, 20), generator=g)
    targets[:, 0] = 255
    samples = Samples([f"a/rather/long/path/of/image_{i}" for i in range(30)], lambda row: Image.open(file))
    found = SegmentationEvaluation(torch.randint(0, 3, (30, 24, 20), generator=g), targets, list(COLOURS), 255, samples)
    return segmentation_page(found, "best.ckpt")


def labels(folder: Path) -> str:
    g, file = np.random.default_rng(0), image(folder / "a.png", 0, 0)
    targets = g.random((60, 3)) < 0.5
    scores = g.normal(size=(60, 3)) + targets
    samples = Samples([f"a/rather/long/path/of/image_{i}" for i in range(60)], lambda row: Image.open(file))
    found = MultilabelEvaluation(scores, 1 / (1 + np.exp(-scores)), targets, list(COLOURS), 0.5, samples)
    return multilabel_page(found, "best.ckpt")


def binary(folder: Path) -> str:
    g = torch.Generator().manual_seed(0)
    targets = torch.arange(60) % 2
    log_probabilities = (torch.randn(60, 2, generator=g).double() + torch.eye(2)[targets]).log_softmax(1)
    file = image(folder / "a.png", 0, 0)
    outputs = LabelledPredictions(
        log_probabilities, log_probabilities.argmax(1), targets, [f"image_{i}" for i in range(60)],
        lambda row: Image.open(file), {},
    )  # fmt: skip
    return evaluation_page(Evaluation(outputs, ["healthy", "ill"]), "best.ckpt")


def many_classes(folder: Path) -> str:
    g = torch.Generator().manual_seed(0)
    targets = torch.arange(90) % 30
    log_probabilities = (torch.randn(90, 30, generator=g).double() + 3 * torch.eye(30)[targets]).log_softmax(1)
    file = image(folder / "a.png", 0, 0)
    outputs = LabelledPredictions(
        log_probabilities, log_probabilities.argmax(1), targets, [f"image_{i}" for i in range(90)],
        lambda row: Image.open(file), {},
    )  # fmt: skip
    return evaluation_page(Evaluation(outputs, [f"class {i}" for i in range(30)]), "best.ckpt")


def predictions(folder: Path, count: int = 70) -> str:
    paths = [str(image(folder / f"with a long name to break {i}.png", i % 3, i)) for i in range(count)]
    probability = torch.rand(count, 3, generator=torch.Generator().manual_seed(0)).softmax(1).topk(2)
    answers = Predictions(probability.indices, probability.values)
    found = FilePredictions(paths, answers, {"x <i>.png": "broken"}, list(COLOURS))
    return prediction_page(found, "best.ckpt")


@pytest.mark.chromium
@pytest.mark.parametrize(
    ("make", "width", "dark"),
    [
        (evaluation, 400, True),
        (evaluation, 1200, False),
        (predictions, 400, False),
        (regression, 400, True),
        (segmentation, 400, True),
        (labels, 400, False),
        (binary, 400, False),
        (many_classes, 400, True),
    ],
)
def test_a_browser_shows_it(make: Any, width: int, dark: bool, tmp_path: Path) -> None:
    page = make(tmp_path)
    seen, said = browse(page, width, tmp_path, dark)
    assert seen["dark"] == dark
    assert said == ""
    assert seen["width"] == width
    assert seen["wide"] == [], "something sticks out of the screen"
    assert seen["scrolled"] == 0, "what scrolls must be reachable by keyboard"
    assert seen["contrast"] >= 4.5
    assert seen["small"] >= 11
    assert ("<svg" in page) == (seen["letters"] is not None)
    assert (seen["letters"] or 99) >= 8.99, "letters of a figure are too small to read"
    assert seen["texts"] > 50
    assert seen["reach"] == seen["focused"] >= 5
    assert seen["images"] > 3
    assert seen["nameless"] == 0
    assert seen["lang"] == "en"
    assert seen["fetched"] == 0


@pytest.mark.parametrize("make", [evaluation, binary, many_classes, regression, segmentation, labels, predictions])
def test_no_page_says_a_sentence_twice(make: Any, tmp_path: Path) -> None:
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<ul class=.gallery.*?</ul>", "", make(tmp_path), flags=re.DOTALL)
    said = [sentence for part in re.split(r"<[^>]*>", text) for sentence in re.split(r"(?<=\.) ", part)]
    long = [sentence for sentence in said if len(sentence) > 60]
    assert long
    assert [sentence for sentence in set(long) if long.count(sentence) > 1] == []


@pytest.mark.chromium
def test_print_cuts_nothing_off(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(evaluation(tmp_path))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = ["chromium", *flags, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'p.pdf'}"]
    subprocess.run([*command, (tmp_path / "page.html").as_uri()], capture_output=True, timeout=180, check=True)
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "p.pdf").read_bytes())
    assert 2 <= len(pages) <= 6


def test_colours_of_a_figure_differ_in_the_dark_mode() -> None:
    dark = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", STYLE.split("@media")[1]))
    drawn = [dark.get(THEMED.get(color, color).removeprefix("var(--").rstrip(")"), color) for color in COLORS[:6]]
    rgb = np.array([[int(color[place : place + 2], 16) for place in (1, 3, 5)] for color in drawn])
    apart = np.linalg.norm(rgb[:, None] - rgb[None], axis=-1) + 999 * np.eye(6)
    assert apart.min() > 60, drawn
    paper = (22, 24, 27)
    assert "--paper: #16181b;" in STYLE
    assert min(contrast((r, g, b), paper) for r, g, b in rgb.tolist()) >= 3, "WCAG's bound for lines"


def test_text_can_be_read_on_every_shade() -> None:
    for step in range(101):
        cell = shaded("1", step / 100, "")
        background, ink = (tuple(map(int, found)) for found in re.findall(r"rgb\((\d+),(\d+),(\d+)\)", cell))
        assert background == shade(step / 100)
        assert contrast(background, ink) >= 4.5  # type: ignore[arg-type]


def test_images_stop_where_the_page_is_full() -> None:
    noise = torch.randint(0, 256, (400, 300, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    image = Image.fromarray(noise.numpy())
    html, count = gallery((Thumbnail(lambda: image, "noise", ("a",)) for _ in range(1000)), Budget(200_000))
    assert 5 < count < 50
    assert html.count("<img") == count
    assert len(html) < 210_000


def test_thousands_of_images_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    file = str(image(tmp_path / "a.png", 0, 0))
    probability = torch.rand(5000, 3, generator=torch.Generator().manual_seed(0)).softmax(1).topk(2)
    found = FilePredictions([file] * 5000, Predictions(probability.indices, probability.values), {}, list(COLOURS))
    page = prediction_page(found, "n")
    assert page.count("<img") == 240 + 48
    assert len(page) < 5_000_000
    assert re.search(r"80 of 1,\d{3} images, evenly spaced from most to least confident\.", page)


def test_hundreds_of_classes_have_sixty_galleries(tmp_path: Path) -> None:
    file = str(image(tmp_path / "a.png", 0, 0))
    choice = torch.arange(300).div(2, rounding_mode="floor").clamp(max=120)
    answers = Predictions(torch.stack([choice, choice + 1], dim=1), torch.full((300, 2), 0.5))
    page = prediction_page(FilePredictions([file] * 300, answers, {}, [f"c{i}" for i in range(200)]), "n")
    assert page.count('<h2 id="class-') == 60
    assert "Only the 60 classes with the most images have a gallery." in page
    assert '<h2 id="class-59">c120</h2>' in page, "the largest is among them"


def test_labels_that_do_not_exclude_one_another(tmp_path: Path) -> None:
    every = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.3, 0.1]])
    top = every.topk(2)
    paths = [str(image(tmp_path / f"{i}.png", i, i)) for i in range(2)]
    answers = Predictions(top.indices, top.values, every >= 0.5, every)
    page = prediction_page(FilePredictions(paths, answers, {}, list(COLOURS)), "n")
    assert "blue + green" in page
    assert "no label" in page
    assert page.count("<img") == 3, "an image stands under each of its labels"
