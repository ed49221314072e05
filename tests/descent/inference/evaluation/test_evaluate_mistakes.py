"""Label errors that were planted are found, and Grad-CAM is what its formula says."""

import csv
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from datamodules.datasets.digits import DigitsDataModule
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_predictions import LabelledPredictions
from descent.inference.evaluation.mistakes.explanations import Explainer
from descent.inference.evaluation.mistakes.grad_cam import NotExplainedError, evidence, last_activation
from descent.inference.evaluation.mistakes.page import explanations_part
from descent.inference.evaluation.outputs import Samples
from descent.inference.evaluation.report import write_report
from descent.inference.evaluation.samples.label_errors import LabelledSet, suspect_rows, suspected_labels, suspects_of
from descent.inference.evaluation.tasks import evaluate
from descent.inference.page_elements import Budget
from lightning_modules import BinaryClassifier, ImageClassifier
from lightning_modules.networks import ResNet8, SmallCNN
from tests.descent.inference.test_loading import trained


def test_planted_label_errors_come_first() -> None:
    """5 % of the labels of real digits are swapped, for training too."""
    g = np.random.default_rng(0)
    digits = load_digits()
    labels = digits.target.copy()
    swapped = g.random(len(labels)) < 0.05
    labels[swapped] = (labels[swapped] + g.integers(1, 10, swapped.sum())) % 10
    train = g.random(len(labels)) < 0.6
    network = LogisticRegression(max_iter=200, C=0.02).fit(digits.data[train] / 16, labels[train])
    probabilities = torch.from_numpy(network.predict_proba(digits.data[~train] / 16))
    given, truth = labels[~train], swapped[~train]
    found = suspected_labels(probabilities.log(), torch.from_numpy(given))
    right = np.array([truth[suspect.row] for suspect in found])
    assert right[:20].mean() >= 0.9
    assert right.sum() >= 0.5 * truth.sum()
    true = digits.target[~train]
    assert np.mean([true[suspect.row] == suspect.suggested for suspect in found[:20]]) >= 0.9


def test_the_rule_by_hand() -> None:
    # means of the own class: a (0.9 + 0.1 + 0.55) / 3 = 0.517, b (0.8 + 0.6) / 2 = 0.7
    probabilities = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.55, 0.45], [0.2, 0.8], [0.4, 0.6]], dtype=torch.float64)
    (found,) = suspected_labels(probabilities.log(), torch.tensor([0, 0, 0, 1, 1]))
    assert found[:3] == (1, 0, 1)
    assert found[3:] == pytest.approx((0.1, 0.9))
    # 0.65 for b is less than the mean of the samples labelled b: no suspect
    probabilities[2] = torch.tensor([0.35, 0.65])
    assert [s.row for s in suspected_labels(probabilities.log(), torch.tensor([0, 0, 0, 1, 1]))] == [1]
    # a class that no label names is never suggested
    three = torch.cat([probabilities / 2, torch.full((5, 1), 0.5, dtype=torch.float64)], dim=1)
    assert all(s.suggested < 2 for s in suspected_labels(three.log(), torch.tensor([0, 0, 0, 1, 1])))


def test_suspects_of_several_sets_are_in_one_list() -> None:
    log = torch.tensor([[0.9, 0.1], [0.05, 0.95], [0.1, 0.9]], dtype=torch.float64).log()
    first = LabelledSet("test", log, torch.tensor([0, 0, 1]), Samples(["x/0.png", "x/1.png", "x/2.png"]))
    log = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]], dtype=torch.float64).log()
    second = LabelledSet("validation", log, torch.tensor([0, 1, 0]), Samples(["y/0.png", "y/1.png", "y/2.png"]))
    rows = suspect_rows(suspects_of([first, second]), ["cat", "dog"])
    assert rows == [
        ["x/1.png", "test", "cat", "dog", "0.050000", "0.950000"],
        ["y/0.png", "validation", "cat", "dog", "0.100000", "0.900000"],
    ]


class _Known(nn.Module):
    """Two channels: brightness, and its negative; a linear head on their means."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
            self.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(images).mean(dim=(2, 3)))


def test_grad_cam_by_hand() -> None:
    images = torch.tensor([[[[1.0, -2.0], [0.5, 0.0]]]])
    # dy/dA = weight / 4 at each place, so alpha = weight / 4, and the map is relu(alpha_0 x - alpha_1 x)
    first = evidence(_Known(), images, lambda output: output[:, 0])
    torch.testing.assert_close(first, (images[0] / 4).relu())
    second = evidence(_Known(), images, lambda output: output[:, 1])
    torch.testing.assert_close(second, (-images[0] * 2 / 4).relu())


@pytest.mark.parametrize(
    "make",
    [
        lambda: timm.create_model("resnet10t", num_classes=3),
        lambda: timm.create_model("mobilenetv3_small_050", num_classes=3),
        lambda: torchvision.models.squeezenet1_1(num_classes=3),
        lambda: ResNet8(num_classes=3),
        lambda: SmallCNN(num_classes=3, width=4),
    ],
)
def test_networks_with_convolutions(make: object) -> None:
    network = make().eval()  # type: ignore[operator]
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    both = evidence(network, images, lambda output: output[:, 1])
    assert both.ndim == 3
    assert both.shape[0] == 2
    assert both.shape[1] > 1
    assert (both >= 0).all()
    alone = evidence(network, images[1:], lambda output: output[:, 1])
    torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-5)
    assert all(not part._forward_hooks for part in network.modules())


def test_networks_that_cannot_be_explained() -> None:
    images = torch.randn(1, 3, 32, 32)
    transformer = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=3).eval()
    with pytest.raises(NotExplainedError, match=r"after its last convolution the network has .* as a transformer has"):
        last_activation(transformer, images)
    with pytest.raises(NotExplainedError, match="has no convolution"):
        last_activation(nn.Sequential(nn.Flatten(), nn.Linear(3072, 3)), images)
    with pytest.raises(NotExplainedError, match="the score does not depend on the network's last convolution"):
        evidence(ResNet8(num_classes=3).eval(), images, lambda output: torch.ones(1, requires_grad=True) * len(output))


def mistaken(module: ImageClassifier | BinaryClassifier, images: torch.Tensor) -> tuple[Evaluation, Explainer]:
    log_probabilities = module.log_probabilities(module(images.float())).detach().double()
    classes = log_probabilities.argmax(1)
    outputs = LabelledPredictions(log_probabilities, classes, 1 - classes, ["a.png", "b.png"], None, {})
    zeros = torch.zeros(2, dtype=torch.int64)

    def load(rows: list[int]) -> tuple[torch.Tensor, ...]:
        return images[rows], zeros[rows], zeros[rows]

    return Evaluation(outputs, ["x", "y"]), Explainer(trained(module, _Plain()), module, load)  # type: ignore[arg-type]


class _Plain:
    white, image_size = 255, (16, 16)

    @staticmethod
    def on_after_batch_transfer(batch: tuple[torch.Tensor, ...], _: int) -> tuple[torch.Tensor, ...]:
        return batch[0].float(), batch[1]


@pytest.mark.parametrize("binary", [False, True])
def test_the_page_shows_the_evidence_for_both_classes(binary: bool) -> None:
    network = SmallCNN(num_classes=1 if binary else 2, width=4)
    module = (BinaryClassifier if binary else ImageClassifier)(network, torch.optim.SGD).eval()
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found, explainer = mistaken(module, images)
    page = explanations_part(found, explainer, Budget())
    assert page.count("<img ") == 2
    assert "a.png: image, evidence for " in page
    flat = (BinaryClassifier if binary else ImageClassifier)(
        nn.Sequential(nn.Flatten(), nn.Linear(768, 1 if binary else 2)), torch.optim.SGD
    )
    found, explainer = mistaken(flat.eval(), images)
    assert "Grad-CAM is left out: the network has no convolution." in explanations_part(found, explainer, Budget())


def test_a_report_lists_suspects_of_test_and_validation(tmp_path: Path) -> None:
    data = DigitsDataModule()
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    module = ImageClassifier(network, torch.optim.SGD, num_classes=10)
    data.setup("fit")
    images, targets = data.prepare_batch(data.train_set.__getitems__(list(range(400))), training=False)  # type: ignore[union-attr]
    flat = images.flatten(1).double().numpy()
    fitted = LogisticRegression(max_iter=100, C=0.1).fit(flat, targets)
    network(images[:1])
    order = [1, 0, *range(2, 10)]  # it takes 0 for 1 and 1 for 0
    network[1].weight.data = torch.from_numpy(fitted.coef_[order]).float()
    network[1].bias.data = torch.from_numpy(fitted.intercept_[order]).float()
    report = evaluate(trained(module.eval(), data), None)
    write_report(report, tmp_path)
    with (tmp_path / "suspected_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["set"] for row in rows} == {"test", "validation"}
    assert all(row["sample"].startswith(f"{row['set']} image ") for row in rows)
    assert {row["given_class"] for row in rows[:10]} == {"0", "1"}
    margins = [float(row["probability_of_suggested"]) - float(row["probability_of_given"]) for row in rows]
    assert margins == sorted(margins, reverse=True)
    page = (tmp_path / "evaluation.html").read_text()
    assert page.index('id="suspects"') < page.index('id="mistakes"') < page.index('id="explanations"')
