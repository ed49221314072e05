"""Dice, Jaccard and Tversky loss: by hand, by identities, and with an empty mask."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.segmentation import dice_score

from lightning_modules.losses import DiceLoss, JaccardLoss, TverskyLoss, dice_loss, jaccard_loss, tversky_loss


def image(classes: int = 3) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(4, classes, 6, 5, generator=g) * 3, torch.randint(classes, (4, 6, 5), generator=g)


def test_by_hand() -> None:
    output = torch.tensor([[0.0, 0.0, 0.0, 0.0]])  # p = ½ everywhere
    target = torch.tensor([[1, 0, 0, 0]])
    # Σpy = ½, Σp = 2, Σy = 1
    assert dice_loss(output, target, "binary", smooth=1) == pytest.approx(1 - 2 / 4)
    assert jaccard_loss(output, target, "binary", smooth=1) == pytest.approx(1 - 1.5 / 3.5)
    expected = 1 - 1.5 / (0.5 + 0.3 * 1.5 + 0.7 * 0.5 + 1)
    assert tversky_loss(output, target, 0.3, 0.7, "binary", smooth=1) == pytest.approx(expected)


@pytest.mark.parametrize("options", [{}, {"per_image": True}, {"absent": "ignore"}, {"ignore_index": 2}])
def test_tversky_contains_dice_and_jaccard(options: dict[str, Any]) -> None:
    output, target = image()
    dice, jaccard = dice_loss(output, target, smooth=3, **options), jaccard_loss(output, target, smooth=3, **options)
    torch.testing.assert_close(tversky_loss(output, target, 0.5, 0.5, smooth=1.5, **options), dice)
    torch.testing.assert_close(tversky_loss(output, target, 1, 1, smooth=3, **options), jaccard)


def test_jaccard_follows_from_dice_without_smoothing() -> None:
    output, target = image()
    options: dict[str, Any] = {"smooth": 0, "absent": "ignore", "reduction": "none"}
    d, j = 1 - dice_loss(output, target, **options), 1 - jaccard_loss(output, target, **options)
    torch.testing.assert_close(j, d / (2 - d))


def test_a_certain_prediction_gives_the_metric() -> None:
    output, target = image()
    guess = output.argmax(1)
    sure = 1e4 * F.one_hot(guess, 3).movedim(-1, 1)
    by_image = dice_score(guess, target, num_classes=3, average="none", input_format="index")
    actual = 1 - dice_loss(sure.float(), target, smooth=1e-9, per_image=True, reduction="none")
    torch.testing.assert_close(actual, by_image)


def test_perfect_is_0_and_worst_is_1() -> None:
    _, target = image()
    right = 2e4 * F.one_hot(target, 3).movedim(-1, 1).float() - 1e4
    for loss in (dice_loss, jaccard_loss, tversky_loss):
        assert loss(right, target) == 0
        assert loss(right.roll(1, dims=1), target, smooth=1e-6) == pytest.approx(1)


def test_two_classes_of_a_softmax_are_a_sigmoid_of_their_difference() -> None:
    output, target = image(2)
    both = dice_loss(output, target, reduction="none")
    torch.testing.assert_close(both[1], dice_loss(output[:, 1] - output[:, 0], target, "binary"))


def test_multilabel_is_binary_by_label() -> None:
    output, _ = image()
    target = (torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(0)) > 0).long()
    by_label = torch.stack([jaccard_loss(output[:, c], target[:, c], "binary") for c in range(3)])
    torch.testing.assert_close(jaccard_loss(output, target, "multilabel", reduction="none"), by_label)


def test_one_hot_targets_are_class_numbers() -> None:
    output, target = image()
    hot = F.one_hot(target, 3).movedim(-1, 1).float()
    torch.testing.assert_close(dice_loss(output, hot), dice_loss(output, target))


def test_by_image_and_over_the_batch_differ() -> None:
    output, target = image()
    one_by_one = torch.stack([dice_loss(output[i : i + 1], target[i : i + 1], reduction="none") for i in range(4)])
    torch.testing.assert_close(dice_loss(output, target, per_image=True, reduction="none"), one_by_one)
    torch.testing.assert_close(dice_loss(output, target, per_image=True), one_by_one.mean())
    as_one = dice_loss(output.transpose(0, 1).reshape(1, 3, -1), target.reshape(1, -1))
    torch.testing.assert_close(dice_loss(output, target), as_one)
    assert dice_loss(output, target) != pytest.approx(one_by_one.mean().item())


def test_an_absent_class_is_penalized_with_a_gradient_or_left_out() -> None:
    """False positives on an empty mask must cost something: in other libraries they are free."""
    output = torch.zeros(1, 4, 4, requires_grad=True)
    target = torch.zeros(1, 4, 4).long()
    (slope,) = torch.autograd.grad(dice_loss(output, target, "binary"), output)
    assert (slope > 0).all()
    (slope,) = torch.autograd.grad(dice_loss(output, target, "binary", absent="ignore"), output)
    assert not slope.any()


def test_absent_classes_leave_the_mean() -> None:
    output, target = image()
    target[target == 1] = 2
    by_class = dice_loss(output, target, reduction="none")
    torch.testing.assert_close(dice_loss(output, target, absent="ignore"), by_class[[0, 2]].mean())
    assert dice_loss(output, target, absent="ignore", reduction="none")[1] == 0


def test_weights_select_classes() -> None:
    output, target = image()
    by_class = jaccard_loss(output, target, reduction="none")
    weights = torch.tensor([0.0, 1.0, 3.0])
    expected = (by_class[1] + 3 * by_class[2]) / 4
    torch.testing.assert_close(jaccard_loss(output, target, class_weights=weights), expected)


@pytest.mark.parametrize("mode", ["multiclass", "multilabel", "binary"])
def test_unlabelled_pixels_are_ignored(mode: Any) -> None:
    classes = 1 if mode == "binary" else 3
    output = torch.randn(2, classes, 8, generator=torch.Generator().manual_seed(0))
    shape = (2, 8) if mode != "multilabel" else (2, 3, 8)
    target = torch.randint(
        max(classes, 2) if mode == "multiclass" else 2, shape, generator=torch.Generator().manual_seed(0)
    )
    holed = target.clone()
    holed[..., 5:] = 255
    for labels in (holed, holed.float()) if mode != "multiclass" else (holed,):
        actual = dice_loss(output, labels, mode, ignore_index=255)
        torch.testing.assert_close(actual, dice_loss(output[..., :5], target[..., :5], mode))


def test_volumes_and_sequences() -> None:
    output, target = image()
    flat = dice_loss(output, target)
    torch.testing.assert_close(dice_loss(output.flatten(2), target.flatten(1)), flat)
    torch.testing.assert_close(dice_loss(output.unsqueeze(-1), target.unsqueeze(-1)), flat)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"in mode binary, got output \(2, 3, 4\) and target \(2, 4\)"):
        DiceLoss("binary")(torch.zeros(2, 3, 4), torch.zeros(2, 4).long())
    with pytest.raises(ValueError, match=r"in mode multilabel, got output \(2, 3, 4\) and target \(2, 4\)"):
        DiceLoss("multilabel")(torch.zeros(2, 3, 4), torch.zeros(2, 4).long())
    with pytest.raises(ValueError, match=r"class numbers of shape \(2, 4\)"):
        JaccardLoss()(torch.zeros(2, 3, 4), torch.zeros(2, 5).long())
    with pytest.raises(ValueError, match="class numbers from 0 to 2, got 3"):
        JaccardLoss()(torch.zeros(2, 3, 4), torch.full((2, 4), 3))
    with pytest.raises(ValueError, match="class_weights must have one number per class: got 2 numbers for 3 classes"):
        JaccardLoss(class_weights=[1.0, 2.0])(torch.zeros(2, 3, 4), torch.zeros(2, 4).long())


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="mode must be one of binary, multiclass, multilabel; got 'multi'"):
        DiceLoss("multi")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="absent must be one of ignore, penalize; got 'skip'"):
        DiceLoss(absent="skip")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"smooth must be above 0 where absent classes are penalized, got 0:.*absent='ignore'"
    ):
        JaccardLoss(smooth=0)
    with pytest.raises(ValueError, match="smooth must be ≥ 0, got -1"):
        JaccardLoss(smooth=-1)
    with pytest.raises(ValueError, match=r"alpha must be ≥ 0, got -0\.1"):
        TverskyLoss(alpha=-0.1)
    with pytest.raises(ValueError, match="alpha and beta must not both be 0"):
        TverskyLoss(alpha=0, beta=0)
