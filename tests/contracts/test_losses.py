"""Contract of every loss: the presets and their variants, from the table of cases."""

import copy
import pickle
from pathlib import Path
from typing import cast

import pytest
import torch
import torch.utils.data
from torch import Tensor, nn

from lightning_modules import losses
from tests.lightning_modules.losses.cases import CASES, PRESETS, Kind, build, inputs, random_input

LOGITS: set[Kind] = {"binary", "soft_binary", "class", "soft", "mask", "binary_mask", "real_fake"}
HALVES = [torch.float16, torch.bfloat16]
every_loss = pytest.mark.parametrize("name", CASES)


def is_ours(loss: nn.Module) -> bool:
    return type(loss).__module__.startswith("lightning_modules.")


OURS = [name for name in CASES if is_ours(build(name))]
UNWEIGHTED = [name for name in OURS if getattr(build(name), "class_weights", None) is None]
CHECKED = [name for name in OURS if CASES[name].kind != "real_fake"]  # these compare output and target
every_half = pytest.mark.parametrize("dtype", HALVES, ids=["fp16", "bf16"])


def gradient(loss: nn.Module, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    prediction = output.clone().requires_grad_()
    value: Tensor = loss(prediction, target)
    (slope,) = torch.autograd.grad(value, prediction)
    return value.detach(), slope


def test_every_preset_has_a_case() -> None:
    assert {path.stem for path in PRESETS.glob("*.yaml")} <= set(CASES), "add the preset to tests/.../losses/cases.py"


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_begin_with_a_comment(path: Path) -> None:
    assert path.read_text().startswith("# ")


@every_loss
def test_scalar_with_a_gradient(name: str) -> None:
    case = CASES[name]
    for kind, (output, target) in inputs(case).items():
        value, slope = gradient(build(name), output, target)
        assert value.shape == (), kind
        assert value.dtype == torch.float32, kind
        assert value.isfinite(), kind
        assert slope.isfinite().all(), kind
    value, slope = gradient(build(name), *random_input(case.kind, case.ignored))
    assert value > 0
    assert slope.abs().max() > 1e-4


@every_loss
def test_gradient_by_differences(name: str) -> None:
    case = CASES[name]
    output, target = random_input(case.kind, case.ignored, scale=1.5)
    output = output.double().requires_grad_()
    target = target.double() if target.is_floating_point() else target
    assert torch.autograd.gradcheck(build(name), (output, target), check_undefined_grad=False)


@every_loss
@every_half
def test_autocast(name: str, dtype: torch.dtype) -> None:
    """Under autocast the value equals that of the same rounded predictions in float32."""
    case, loss = CASES[name], build(name)
    for kind, (output, target) in inputs(case).items():
        half = output.to(dtype)
        expected, slope = gradient(loss, half.float(), target)
        with torch.autocast("cpu", dtype):
            value, actual = gradient(loss, half, target)
        assert value.dtype == torch.float32, kind
        assert actual.isfinite().all(), kind
        if case.kind == "probability":
            continue  # 0 and 1 are moved by an amount that depends on the dtype: it has tests of its own
        torch.testing.assert_close(value, expected, msg=kind)
        torch.testing.assert_close(actual, slope.to(dtype), msg=kind)


# In bfloat16 torch's own losses give inf beyond 1.7e38, and the square of a logit above 1.8e19 overflows float32.
FINITE = [(name, torch.float16) for name, case in CASES.items() if case.kind in LOGITS] + [
    (name, torch.bfloat16) for name in OURS if CASES[name].kind in LOGITS and name != "adversarial_least_squares"
]


@pytest.mark.parametrize(("name", "dtype"), FINITE)
def test_largest_finite_logits(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    output, target = random_input(case.kind, case.ignored)
    extreme = (output.sign() * torch.finfo(dtype).max).to(dtype)
    with torch.autocast("cpu", dtype):
        value, slope = gradient(build(name), extreme, target)
    assert value.isfinite()
    assert slope.isfinite().all()


@every_loss
def test_no_synchronisation(name: str) -> None:
    """Meta tensors have no values: a loss that reads one, with `.item()` or `if tensor`, raises."""
    loss = build(name).to("meta")
    output, target = (tensor.to("meta") for tensor in random_input(CASES[name].kind, CASES[name].ignored))
    if CASES[name].kind == "real_fake":
        pair = cast(losses.AdversarialLoss, loss)
        value = pair.discriminator(output, output) + pair.generator(output)
    else:
        value = loss(output.requires_grad_(), target)
    assert value.shape == ()


@every_loss
def test_a_batch_without_targets(name: str) -> None:
    case, loss = CASES[name], build(name)
    output, target = random_input(case.kind, case.ignored)
    empty = [(output[:0], target[:0])]
    if case.ignored is not None:
        empty.append((output, torch.full_like(target, case.ignored)))
    for prediction, labels in empty:
        value, slope = gradient(loss, prediction, labels)
        if case.empty == "nan":
            assert value.isnan()
        else:
            assert value == 0
            assert not slope.any()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.ignored is not None])
def test_ignored_predictions_get_no_gradient(name: str) -> None:
    case = CASES[name]
    output, target = random_input(case.kind, case.ignored)
    _, slope = gradient(build(name), output, target)
    ignored: Tensor = target.eq(cast(int, case.ignored))
    if slope.ndim > ignored.ndim:
        ignored = ignored.unsqueeze(1).expand_as(slope)
    assert not slope[ignored].any()
    assert slope[~ignored].any()


@every_loss
def test_memory_format_does_not_matter(name: str) -> None:
    case, loss = CASES[name], build(name)
    output, target = random_input(case.kind, case.ignored)
    strided = output.transpose(0, -1).contiguous().transpose(0, -1)
    torch.testing.assert_close(gradient(loss, strided, target), gradient(loss, output, target))


@pytest.mark.parametrize("name", [name for name in CHECKED if name != "rmse"])
def test_reductions_agree(name: str) -> None:
    """RMSE is the root of a mean: its reductions have a test of their own."""
    case, loss = CASES[name], build(name)
    output, target = random_input(case.kind, case.ignored)
    values: dict[str, Tensor] = {}
    for reduction in ("none", "sum", "mean"):
        setattr(loss, "reduction", reduction)  # noqa: B010
        values[reduction] = loss(output, target)
    if name in UNWEIGHTED:
        torch.testing.assert_close(values["none"].sum(), values["sum"])
    counted = values["sum"] / values["mean"]
    assert 0 < counted <= 2 * target.numel()


@every_loss
def test_can_be_copied_and_has_no_state(name: str) -> None:
    loss, data = build(name), random_input(CASES[name].kind, CASES[name].ignored)
    for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(copied(*data), loss(*data))
    if is_ours(loss):
        assert not loss.state_dict()


@pytest.mark.parametrize("name", CHECKED)
def test_wrong_shapes_raise(name: str) -> None:
    case = CASES[name]
    output, target = random_input(case.kind, case.ignored)
    with pytest.raises(ValueError, match="target"):
        build(name)(output, target[:-1])


@pytest.mark.parametrize("name", OURS)
def test_predictions_must_be_floating_point(name: str) -> None:
    case = CASES[name]
    output, target = random_input(case.kind, case.ignored)
    with pytest.raises(ValueError, match=r"output must be floating point, got torch\.int64"):
        build(name)(output.long(), target)


@pytest.mark.parametrize("name", CHECKED)
def test_targets_out_of_range_raise(name: str) -> None:
    case = CASES[name]
    output, target = random_input(case.kind, case.ignored)
    wrong = target.clone()
    wrong.view(-1)[-1] = 77 if not target.is_floating_point() else float("nan")
    with pytest.raises(ValueError, match=r"target must .*(77|nan)"):
        build(name)(output, wrong)


def test_names_are_unique() -> None:
    """A class with the name of one in torch, Lightning, torchmetrics or timm would have no short name in the CLI."""
    import lightning.pytorch
    import timm.loss
    import torchmetrics  # noqa: F401

    assert lightning.pytorch
    assert timm.loss
    taken = {
        kind.__name__
        for kind in subclasses(nn.Module)
        if not kind.__module__.startswith(("lightning_modules.", "tests."))
    }
    ours = {name for name in losses.__all__ if name.endswith("Loss")}
    assert ours
    assert not ours & taken


def subclasses(kind: type) -> set[type]:
    children: list[type] = kind.__subclasses__()
    return {kind}.union(*(subclasses(child) for child in children))
