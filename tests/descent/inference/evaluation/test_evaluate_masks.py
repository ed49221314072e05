"""`descent evaluate` of a segmentation: numbers compared with torchmetrics and by hand; masks side by side."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.classification import multiclass_jaccard_index
from torchmetrics.functional.segmentation import dice_score

from datamodules.datasets.shapes import ShapeMasksDataModule
from descent.inference.evaluation.outputs import Samples
from descent.inference.evaluation.report import write_report
from descent.inference.evaluation.segmentation.evaluation import SegmentationEvaluation
from descent.inference.evaluation.segmentation.masks import WRONG, palette, strip
from descent.inference.evaluation.segmentation.page import iou_sentence, segmentation_page, segmentation_remarks
from descent.inference.evaluation.segmentation.report import segmentation_report
from descent.inference.evaluation.strips import GAP, SIDE
from descent.inference.evaluation.tasks import evaluate
from foundation.errors import UserError
from lightning_modules import Segmenter
from lightning_modules.losses import DiceLoss
from lightning_modules.networks import UNet
from tests.descent.inference.test_loading import trained

NAMES = ["background", "a <b>", "c"]


def masks(count: int = 40, size: int = 12, unlabelled: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 3, (count, size, size), generator=g).to(torch.uint8)
    noise = torch.rand(targets.shape, generator=g)
    predicted = torch.where(noise < 0.3, torch.randint(0, 3, targets.shape, generator=g).to(torch.uint8), targets)
    if unlabelled:
        targets[torch.rand(targets.shape, generator=g) < 0.2] = 255
    return predicted, targets


def segmented(predicted: torch.Tensor, targets: torch.Tensor, positive: str | None = None) -> SegmentationEvaluation:
    samples = Samples([f"image {i}" for i in range(len(targets))], lambda row: Image.new("RGB", (24, 24), (row, 0, 0)))
    return SegmentationEvaluation(predicted, targets, NAMES, 255, samples, positive)


def test_scores_equal_torchmetrics() -> None:
    predicted, targets = masks()
    found = segmented(predicted, targets)
    options = {"num_classes": 3, "ignore_index": 255}
    per_class = multiclass_jaccard_index(predicted.int(), targets.int(), average="none", **options)  # type: ignore[arg-type]
    np.testing.assert_allclose([score.iou for score in found.class_scores], per_class, atol=1e-6)
    assert found.mean_iou[0] == pytest.approx(float(per_class.mean()), abs=1e-6)
    labelled = targets != 255
    assert found.accuracy[0] == pytest.approx(float((predicted == targets)[labelled].float().mean()), abs=1e-6)
    assert found.ignored_share == pytest.approx(float((~labelled).float().mean()), abs=1e-6)
    assert found.baseline == pytest.approx(float(targets[labelled].bincount().max() / labelled.sum()), abs=1e-6)
    whole = masks(unlabelled=False)
    expected = dice_score(whole[0][None].long(), whole[1][None].long(), 3, average="none", input_format="index")
    dice = [score.dice for score in segmented(*whole).class_scores]
    np.testing.assert_allclose(dice, expected[0], atol=1e-6)


def test_scores_by_hand() -> None:
    # one row of four pixels; the last is not labelled, whatever is predicted there
    found = segmented(torch.tensor([[[0, 1, 1, 2]]]), torch.tensor([[[0, 0, 1, 255]]]))
    background, a, c = found.class_scores
    assert (background.iou, background.dice) == (1 / 2, 2 / 3)
    assert (a.iou, a.precision, a.recall) == (1 / 2, 1 / 2, 1)
    assert np.isnan(c.iou), "class 2 is neither true nor predicted where there are labels"
    assert found.mean_iou[0] == 1 / 2, "the mean of the classes that occur"
    assert found.confusions() == [("background", "a <b>", 1, 0.5)]
    assert found.accuracy[0] == 2 / 3


def test_the_intervals_are_those_of_images_not_of_pixels() -> None:
    # in half of the images every pixel is right, in half none: 40 independent values, not 5,760
    targets = torch.zeros(40, 12, 12, dtype=torch.uint8)
    predicted = (torch.arange(40) % 2).to(torch.uint8).view(-1, 1, 1).expand(40, 12, 12)
    low, high = segmented(predicted, targets).accuracy[1]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), rel=0.15)


def test_remarks_follow_from_the_numbers() -> None:
    targets = torch.zeros(4, 4, 4, dtype=torch.uint8)
    targets[0, 0, 0] = 1
    targets[1, 0, 0] = 255
    found = segmented(torch.zeros_like(targets), targets)
    assert segmentation_remarks(found) == [
        "The pixel accuracy is no better than that of always answering with the most common class.",
        "Not one pixel was found of: a <b>.",
        "No labelled pixel belongs to: c.",
        "Pixels without a label (class 255), left out of all numbers: 1.6%.",
    ]
    assert segmentation_remarks(segmented(*masks(unlabelled=False))) == []


def test_the_page_shows_the_worst_images_beside_their_masks() -> None:
    predicted, targets = masks()
    predicted[7] = (targets[7] + 1) % 3  # nothing is right there
    found = segmented(predicted, targets, positive="a <b>")
    page = segmentation_page(found, "runs/a/0/checkpoints/best.ckpt")
    assert "a <b>" not in page
    assert page.count("<img ") == 24
    first = re.findall(r"<li><img [^>]*><strong>(.*?)</strong><br>mean IoU 0.0%, 0.0% of the pixels right", page)
    assert first[0] == "image 7"
    assert "of the positive class, a &lt;b&gt;, " in page
    assert "without a label" in page
    order = re.findall(r'<span class="swatch"[^>]*></span>([^<]*)</th>', page)
    assert len(order) == 3
    assert order[0].replace("&lt;", "<").replace("&gt;", ">") == min(found.class_scores, key=lambda s: s.iou).name


def test_a_strip_marks_the_wrong_pixels() -> None:
    target, predicted = torch.tensor([[0, 1], [2, 255]]), torch.tensor([[0, 2], [2, 1]])
    joined = strip(Image.new("RGB", (2, 2), (9, 9, 9)), target, predicted, 3, 255)
    assert joined.size == (4 * SIDE + 3 * GAP, SIDE)
    pixels = np.asarray(joined)

    def at(part: int, y: int, x: int) -> tuple[int, ...]:
        row, column = (SIDE * (2 * place + 1) // 4 for place in (y, x))
        return tuple(int(value) for value in pixels[row, part * (SIDE + GAP) + column])

    grey, blue, orange = palette(3)
    assert [at(1, 0, 0), at(1, 0, 1), at(1, 1, 0), at(1, 1, 1)] == [grey, blue, orange, (255, 255, 255)]
    assert [at(2, 0, 0), at(2, 0, 1), at(2, 1, 0), at(2, 1, 1)] == [grey, orange, orange, blue]
    assert [at(3, y, x) == WRONG for y in (0, 1) for x in (0, 1)] == [False, True, False, False]
    assert len(set(palette(60))) == 60


@pytest.mark.parametrize("binary", [False, True])
def test_a_trained_segmenter(binary: bool, tmp_path: Path) -> None:
    data = ShapeMasksDataModule(pictures=40, foreground=binary)
    network = UNet(num_classes=1 if binary else 4, width=4, depth=2)
    module = Segmenter(
        network, torch.optim.SGD, loss=DiceLoss(mode="binary") if binary else None, num_classes=2 + 2 * (not binary)
    )
    report = evaluate(trained(module.eval(), data), None)
    found = json.loads(write_report(report, tmp_path))
    assert found["samples"] == 10
    assert found["positive_class"] == ("shape" if binary else None)
    inputs, targets = data.prepare_batch(data.test_set.__getitems__(list(range(10))), training=False)  # type: ignore[union-attr]
    with torch.no_grad():
        expected = module.mask(module(inputs))
    assert found["pixel_accuracy"] == pytest.approx(float((expected == targets).float().mean()), abs=1e-6)
    with (tmp_path / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == [f"test image {i}" for i in range(10)]
    assert float(rows[3]["pixel_accuracy"]) == pytest.approx(float((expected == targets)[3].float().mean()), abs=1e-6)
    assert (tmp_path / "classes.csv").read_text().count("\n") == 1 + len(data.class_names)
    assert (tmp_path / "evaluation.html").read_text().count("<img ") == 10
    assert report.sentences[0] == iou_sentence(report.found)


def test_masks_that_cannot_be_evaluated() -> None:
    predicted, targets = masks(2)
    targets[1, 0, 0] = 9
    with pytest.raises(
        UserError, match=r"mask of image 1 has a pixel of class 9; expected 0 to 2, or 255 .*ignore_index"
    ):
        segmented(predicted, targets)
    with pytest.raises(UserError, match="no pixel of the masks is labelled"):
        segmented(predicted, torch.full_like(targets, 255))


def test_an_image_without_labels_has_no_iou(tmp_path: Path) -> None:
    predicted, targets = masks(5)
    targets[2] = 255
    found = segmented(predicted, targets)
    assert sorted(found.ordered()) == [0, 1, 3, 4]
    write_report(segmentation_report(found, "n"), tmp_path)
    assert (tmp_path / "answers.csv").read_text().splitlines()[3] == "image 2,,,,,"
