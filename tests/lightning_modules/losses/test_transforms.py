"""The table of transforms in docs/losses.md holds, and gradients with respect to targets are right."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.losses import (
    DiceLoss,
    ProbabilityBCELoss,
    SigmoidCrossEntropyLoss,
    SigmoidFocalLoss,
    SoftmaxFocalLoss,
    WeightedCrossEntropyLoss,
    cross_entropy,
    softmax_focal_loss,
    tversky_loss,
)
from tests.lightning_modules.losses import transforms
from tests.lightning_modules.losses.accuracy import PAGE, between
from tests.lightning_modules.losses.cases import CASES, build, random_input
from tests.lightning_modules.losses.transforms import EACH_TARGET, ONE_TARGET, PART, row

LINES = between(PAGE.read_text(), PART).splitlines()
TITLES = LINES[0].strip("| ").split(" | ")
ROWS = [line.strip("| ").split(" | ") for line in LINES[2:]]
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_table_has_every_case() -> None:
    assert [cells[0] for cells in ROWS] == list(CASES)
    assert ["loss", "targets", *EACH_TARGET, *ONE_TARGET] == TITLES


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0])
def test_row(cells: list[str]) -> None:
    found = row(cells[0])
    assert list(found.values()) == cells[1:], "python -m tests.lightning_modules.losses.transforms"
    assert "wrong" not in "".join(cells)


@pytest.mark.parametrize("name", ["focal, gamma 0.5, smoothing 0.1", "adversarial_non_saturating"])
def test_a_compiled_backward_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`aot_eager` traces and decomposes it as Inductor does, but generates no code."""
    monkeypatch.setattr(transforms, "BACKEND", "aot_eager")
    loss = build(name).double()
    output, target = random_input(CASES[name].kind, scale=1.5)
    expected = transforms.gradient(loss, output.double(), target)
    transforms.compiled(loss, output.double(), target, expected)


SOFT = [name for name, case in CASES.items() if case.kind in ("soft", "soft_binary", "probability", "positive")]


@pytest.mark.parametrize("name", [*SOFT, "bce_logits", "focal_sigmoid", "dice_binary", "jaccard, multilabel, by image"])
def test_gradients_of_targets_by_differences(name: str) -> None:
    output, target = random_input(CASES[name].kind, scale=1.5)
    target = (0.1 + 0.8 * target.double() / target.max()).requires_grad_()
    loss = build(name).double()
    assert torch.autograd.gradcheck(loss, (output.double().requires_grad_(), target), check_undefined_grad=False)
    assert torch.autograd.gradcheck(lambda y: loss(output.double(), y), target, check_undefined_grad=False)


@pytest.mark.parametrize(
    "loss", [WeightedCrossEntropyLoss(), SoftmaxFocalLoss(), DiceLoss()], ids=lambda loss: loss._get_name()
)
def test_a_small_type_has_no_number_for_the_ignored_class(loss: Any) -> None:
    """As a uint8, -100 is 156: a class of its own among 157 and more."""
    logits = torch.randn(4, 200, generator=torch.Generator().manual_seed(0)).unsqueeze(2)
    target = torch.tensor([[156], [3], [156], [199]])
    expected = loss(logits, target)
    assert expected != 0
    assert torch.equal(loss(logits, target.to(torch.uint8)), expected)
    assert torch.equal(loss(logits, target.to(torch.uint16)), expected)


def test_true_is_not_the_ignored_class_1() -> None:
    target = torch.tensor([True, False])
    plain = SigmoidCrossEntropyLoss()(torch.tensor([2.0, 1.0]), target)
    assert SigmoidCrossEntropyLoss(ignore_index=1)(torch.tensor([2.0, 1.0]), target) == plain


@pytest.mark.parametrize("loss", [SigmoidCrossEntropyLoss([3.0]), SigmoidFocalLoss(2.0, [0.3])], ids=["bce", "focal"])
def test_one_weight_in_a_list_is_of_the_one_class(loss: Any) -> None:
    logits = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    mask = (logits[:, 0] > 0.3).long()
    one = type(loss)(3.0) if isinstance(loss, SigmoidCrossEntropyLoss) else type(loss)(2.0, 0.3)
    assert torch.equal(loss(logits, mask), one(logits, mask))


@pytest.mark.parametrize(
    "loss", [SigmoidCrossEntropyLoss([1.0] * 4), SigmoidFocalLoss(2.0, [0.3] * 4)], ids=["bce", "focal"]
)
def test_a_list_never_weighs_the_rows_of_a_mask(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"must have one number: got 4 numbers for one class"):
        loss(torch.zeros(2, 1, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long))


def test_weights_of_zero() -> None:
    logits = torch.tensor([1.0, -2.0])
    no_positives = SigmoidCrossEntropyLoss(pos_weight=0.0)(logits, torch.tensor([1, 0]))
    assert no_positives == pytest.approx(torch.nn.functional.softplus(torch.tensor(-2.0)).item() / 2)
    torch.testing.assert_close(SigmoidFocalLoss(0.0, alpha=0.0)(logits, torch.tensor([1, 0])), no_positives)
    for options in ({"class_weights": [0.0, 0.0]}, {"alpha": [0.0, 0.0]}):
        with pytest.raises(ValueError, match="not all 0"):
            SoftmaxFocalLoss(**options)  # type: ignore[arg-type]


def test_functions_with_weights_of_zero_have_no_loss_and_no_gradient() -> None:
    logits, zeros = torch.randn(4, 3, 2, requires_grad=True), torch.zeros(3)
    target = torch.randint(3, (4, 2))
    values: list[Tensor] = [
        cross_entropy(logits, target, zeros),
        cross_entropy(logits, target.float().unsqueeze(1).expand(-1, 3, -1) / 3, zeros),
        softmax_focal_loss(logits, target, class_weights=zeros),
        tversky_loss(logits, target, class_weights=zeros),
    ]
    for value in values:
        (slope,) = torch.autograd.grad(value, logits)
        assert value == 0
        assert not slope.any()


def test_probabilities_at_their_limits_are_differentiated_as_in_the_closed_form() -> None:
    output = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.3])
    target = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    prediction = output.clone().requires_grad_()
    (slope,) = torch.autograd.grad(ProbabilityBCELoss()(prediction, target), prediction)
    torch.testing.assert_close(torch.func.grad(ProbabilityBCELoss())(output, target), slope)
