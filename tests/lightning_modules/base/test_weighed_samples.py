"""The loss of a batch with weighed samples: unbiased, and the loss's own mean where every weight is 1."""

import copy
import itertools
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules import Pruning
from datamodules.memory.pruning.method import DRAWN, KEPT
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor, Segmenter
from lightning_modules.base.weighed_samples import WeighedSamples, not_per_sample, without_reduction
from lightning_modules.losses import (
    DiceLoss,
    MSLELoss,
    ProbabilityBCELoss,
    RMSELoss,
    SigmoidCrossEntropyLoss,
    SigmoidFocalLoss,
    SoftmaxFocalLoss,
    WeightedCrossEntropyLoss,
)

WEIGHTS = [1.0, 2.0, 0.5]
LOGITS, CLASSES = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, -100, 1, 1])
PIXELS = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(1))
MASKS = torch.tensor([0, 1, 2, 255]).repeat(6).reshape(6, 2, 2)
LABELS = torch.tensor([0.0, 1.0, -1.0]).repeat(6).reshape(6, 3)
NUMBERS = torch.linspace(0, 2, 6)
CASES: list[tuple[nn.Module, Tensor, Tensor]] = [
    (nn.CrossEntropyLoss(), LOGITS, CLASSES),
    (nn.CrossEntropyLoss(torch.tensor(WEIGHTS), label_smoothing=0.1), LOGITS, CLASSES),
    (nn.CrossEntropyLoss(reduction="sum"), LOGITS, CLASSES),
    (nn.CrossEntropyLoss(), LOGITS, LOGITS.softmax(dim=1)),
    (nn.CrossEntropyLoss(ignore_index=255), PIXELS, MASKS),
    (nn.NLLLoss(torch.tensor(WEIGHTS)), LOGITS.log_softmax(dim=1), CLASSES),
    (nn.MultiMarginLoss(), LOGITS, CLASSES.clamp(min=0)),
    (nn.MultiLabelSoftMarginLoss(), LOGITS, LABELS.clamp(min=0)),
    (nn.BCEWithLogitsLoss(), LOGITS, LABELS.clamp(min=0)),
    (nn.MSELoss(), LOGITS, LABELS),
    (nn.HuberLoss(), NUMBERS, NUMBERS.flip(0)),
    (WeightedCrossEntropyLoss(WEIGHTS, 0.1), LOGITS, CLASSES),
    (WeightedCrossEntropyLoss(WEIGHTS), LOGITS, LOGITS.softmax(dim=1)),
    (WeightedCrossEntropyLoss(WEIGHTS, ignore_index=255), PIXELS, MASKS),
    (SoftmaxFocalLoss(2.0, class_weights=WEIGHTS), LOGITS, CLASSES),
    (SigmoidCrossEntropyLoss(ignore_index=-1), LOGITS, LABELS),
    (SigmoidFocalLoss(ignore_index=-1), LOGITS, LABELS),
    (ProbabilityBCELoss(), LOGITS.sigmoid(), LABELS.clamp(min=0)),
    (MSLELoss(), NUMBERS, NUMBERS.flip(0)),
]


def weighed(loss: nn.Module, output: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Any, WeighedSamples]:
    samples = WeighedSamples()
    samples.begin_batch([weights, torch.arange(len(weights))])
    return *samples.loss(loss, output, target), samples


@pytest.mark.parametrize(("loss", "output", "target"), CASES, ids=lambda value: type(value).__name__)
def test_weights_of_one_give_the_losses_own_mean(loss: nn.Module, output: Tensor, target: Tensor) -> None:
    value, _, samples = weighed(loss, output, target, torch.ones(len(output)))
    torch.testing.assert_close(value, loss(output, target))
    torch.testing.assert_close(samples.mean, loss(output, target))
    assert loss.reduction in ("mean", "sum"), "the original is as it was"


@pytest.mark.parametrize(("loss", "output", "target"), CASES, ids=lambda value: type(value).__name__)
def test_whole_weights_count_a_sample_so_often(loss: nn.Module, output: Tensor, target: Tensor) -> None:
    """A sample of weight 2 is like two of them, and one of weight 0 like none, times the mean weight."""
    times = torch.tensor([2, 0, 1, 1, 3, 0])
    repeated = [tensor.repeat_interleave(times, dim=0) for tensor in (output, target)]
    scale = 1.0 if getattr(loss, "reduction", "") == "sum" else times.double().mean().item()
    value, _, _ = weighed(loss, output, target, times.float())
    torch.testing.assert_close(value, loss(*repeated) * scale)


class Net(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(4, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.layer(inputs.flatten(1))
        return output


class Dense(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, outputs, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.layer(inputs)
        return output


sgd = partial(torch.optim.SGD, lr=0.1)
TASKS: list[tuple[Any, Tensor]] = [
    (ImageClassifier(Net(3), sgd), torch.tensor([0, 1, 2, 0, 1, 2])),
    (BinaryClassifier(Net(1), sgd), torch.tensor([0, 1, 1, 0, 1, 0])),
    (MultilabelClassifier(Net(3), sgd), torch.tensor([0, 1, 1]).repeat(6).reshape(6, 3)),
    (Regressor(Net(1), sgd), torch.linspace(-1, 1, 6, dtype=torch.float64)),
    (Segmenter(Dense(3), sgd, num_classes=3), torch.arange(24).reshape(6, 2, 2) % 3),
]


@pytest.mark.parametrize(("module", "target"), TASKS, ids=lambda value: type(value).__name__)
def test_the_gradient_over_the_choice_is_that_of_all_samples(module: Any, target: Tensor) -> None:
    """Exactly, in float64, over every choice of 6 samples: the mean of the batch's gradients is the full gradient."""
    module = copy.deepcopy(module).double()
    inputs = torch.randn(6, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pruning = Pruning(1 / 3)
    codes = torch.tensor([DRAWN] * 4 + [KEPT] * 2)
    weights = pruning.weights(6).double()[codes]

    def gradient(rows: list[int], extra: list[Tensor]) -> Tensor:
        module.zero_grad()
        module.weighed_samples.begin_batch(extra)
        module.criterion(module(inputs[rows]), target[rows]).backward()
        return torch.cat([parameter.grad.flatten() for parameter in module.parameters()])

    whole = gradient(list(range(6)), [])
    choices = [[row for row in range(6) if row not in out] for out in itertools.combinations(range(4), 2)]
    parts = torch.stack([gradient(rows, [weights[rows], torch.tensor(rows)]) for rows in choices])
    torch.testing.assert_close(parts.mean(dim=0), whole, rtol=1e-6, atol=1e-8)
    assert (parts - whole).abs().max() > 1e-3, "each choice alone has another gradient"


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (RMSELoss(), "RMSELoss does not give: its value for a batch is not a mean over samples"),
        (DiceLoss(), "DiceLoss does not give"),
        (nn.Softmax(dim=1), "needs an attribute reduction, mean or sum, got None"),
    ],
)
def test_losses_without_one_per_sample(loss: nn.Module, reason: str) -> None:
    module = ImageClassifier(Net(3), sgd, loss=loss)

    class Data:
        class sample_choice:  # noqa: N801
            pruning = Pruning(0.3)

    with pytest.raises(UserError, match=reason):
        module.weighed_samples.restart(module.loss, Data)
    module.weighed_samples.restart(module.loss, None)


def test_a_loss_that_weighs_targets_in_its_own_way_must_tell_how() -> None:
    class Own(nn.MSELoss):
        def mean_weight(self, output: Tensor, target: Tensor) -> float:
            return 1.0

    assert "target_weights" in (not_per_sample(Own()) or "")
    assert not_per_sample(nn.MSELoss()) is None


def test_a_loss_of_ones_own_is_checked_on_the_first_batch() -> None:
    class Root(nn.MSELoss):
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            loss: Tensor = super().forward(output, target).sqrt()
            return loss

    class Whole(nn.MSELoss):
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            loss: Tensor = super().forward(output, target).mean()
            return loss

    with pytest.raises(UserError, match=r"Root does not give: the mean of its values is .*, its loss of the batch"):
        weighed(Root(), NUMBERS, NUMBERS.flip(0), torch.ones(6))
    with pytest.raises(UserError, match=r"without a reduction it has the shape \(\) for 6 samples"):
        weighed(Whole(), NUMBERS, NUMBERS.flip(0), torch.ones(6))


def test_a_batch_without_a_label_has_no_effect() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss, _, _ = weighed(WeightedCrossEntropyLoss(), logits, torch.full((6,), -100), torch.ones(6))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss == 0
    assert not gradient.any()


def test_the_copy_without_a_reduction_shares_weights_and_hooks() -> None:
    loss = WeightedCrossEntropyLoss(WEIGHTS)
    copied, calls = without_reduction(loss), []
    handle = loss.register_forward_pre_hook(lambda module, inputs: calls.append(module))
    copied(LOGITS, CLASSES)
    handle.remove()
    copied(LOGITS, CLASSES)
    assert len(calls) == 1
    loss.double()
    assert copied.class_weights.dtype == torch.float64
