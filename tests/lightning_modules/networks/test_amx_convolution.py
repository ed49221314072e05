"""Maps side by side: the weight gradient of torch's own convolution, taken where it is faster and nowhere else."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.networks import ResNet8, ResNet18Cifar, amx_convolution
from lightning_modules.networks.amx_convolution import AMXConv2d, side_by_side, use_amx_convolution, use_amx_in_bf16


@pytest.fixture(autouse=True)
def _amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amx_convolution, "cpu_has_amx", lambda: True)  # the arithmetic is right on any CPU


def weight_gradient(inputs: Tensor, gradient: Tensor) -> Tensor:
    """In float64, by torch's convolution."""
    shape = (gradient.shape[1], inputs.shape[1], 3, 3)
    return torch.nn.grad.conv2d_weight(inputs.double(), shape, gradient.double(), padding=1)  # type: ignore[attr-defined, no-untyped-call]


@pytest.mark.parametrize("count", [1, 9, 10, 11, 33])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 7), (7, 5), (8, 8)])
def test_no_product_is_added_or_lost(count: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(count, 3, *size, dtype=torch.float64)
    gradient = torch.randn(count, 4, *size, dtype=torch.float64)
    found = weight_gradient(side_by_side(inputs), side_by_side(gradient))
    torch.testing.assert_close(found, weight_gradient(inputs, gradient), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_torch_within_bf16(autocast: bool, bias: bool) -> None:
    torch.manual_seed(0)
    ours = use_amx_convolution(nn.Conv2d(16, 24, 3, padding=1, bias=bias))
    assert type(ours) is AMXConv2d
    plain = nn.Conv2d(16, 24, 3, padding=1, bias=bias)
    plain.load_state_dict(ours.state_dict())
    if not autocast:
        ours, plain = ours.bfloat16(), plain.bfloat16()
    inputs = [torch.randn(33, 16, 7, 7, dtype=torch.float32 if autocast else torch.bfloat16) for _ in range(1)] * 2
    leaves, outputs = [tensor.clone().requires_grad_() for tensor in inputs], []
    for conv, leaf in zip((ours, plain), leaves, strict=True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            outputs.append(conv(leaf))
        outputs[-1].float().square().mean().backward()
    assert outputs[0].dtype == outputs[1].dtype == torch.bfloat16
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0.02, atol=0.02)
    assert ours.weight.grad is not None
    assert plain.weight.grad is not None
    assert ours.weight.grad.dtype == plain.weight.grad.dtype
    scale = plain.weight.grad.float().abs().max()
    torch.testing.assert_close(ours.weight.grad.float() / scale, plain.weight.grad.float() / scale, rtol=0, atol=0.01)
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=0.05, atol=1e-4)


def taken(network: nn.Module, inputs: Tensor) -> bool:
    return "_WideRows" in type(network(inputs).grad_fn).__name__


def test_taken_where_it_is_faster_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = AMXConv2d(2, 2, 3, padding=1, bias=False)
    small, wide = torch.zeros(2, 2, 4, 8), torch.zeros(2, 2, 4, 9)
    assert not taken(conv, small)  # in float32
    with torch.autocast("cpu", torch.bfloat16):
        assert taken(conv, small)
        assert not taken(conv, wide)
        with torch.no_grad():
            assert conv(small).grad_fn is None
        conv.requires_grad_(False)
        assert not taken(conv, small.requires_grad_())
        conv.requires_grad_(True)
        monkeypatch.setattr(amx_convolution, "cpu_has_amx", lambda: False)
        assert not taken(conv, small)
    with torch.autocast("cpu", torch.float16):
        assert not taken(conv, small)


def test_only_fitting_convolutions_are_changed() -> None:
    others = [
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
    ]
    use_amx_convolution(nn.Sequential(*others))
    assert not any(isinstance(module, AMXConv2d) for module in others)


@pytest.mark.parametrize("kind", [ResNet8, ResNet18Cifar])
def test_a_network_learns_as_with_plain_convolutions(kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = kind()
    images, targets = torch.randn(24, 3, 32, 32), torch.arange(24) % 10
    gradients = []
    for amx in (True, False):
        monkeypatch.setattr(amx_convolution, "cpu_has_amx", lambda amx=amx: amx)
        copied = use_amx_convolution(copy.deepcopy(network))
        with torch.autocast("cpu", torch.bfloat16):
            F.cross_entropy(copied(images), targets).backward()
        gradients.append([parameter.grad for parameter in copied.parameters() if parameter.grad is not None])
    for ours, plain in zip(*gradients, strict=True):
        assert torch.cosine_similarity(ours.flatten(), plain.flatten(), dim=0) > 0.999


def test_second_derivatives_are_refused() -> None:
    inputs = torch.zeros(1, 2, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    output = AMXConv2d(2, 2, 3, padding=1, dtype=torch.bfloat16)(inputs)
    (first,) = torch.autograd.grad(output.square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_it_is_copied_and_pickled() -> None:
    conv = AMXConv2d(2, 2, 3, padding=1)
    assert type(copy.deepcopy(conv)) is type(pickle.loads(pickle.dumps(conv))) is AMXConv2d


@pytest.mark.parametrize(
    ("device", "precision", "amx", "offered", "changed"),
    [
        ("cpu", "bf16-mixed", True, True, True),
        ("cpu", "bf16-true", True, True, True),
        ("cpu", "32-true", True, True, False),
        ("cuda", "bf16-mixed", True, True, False),
        ("cpu", "bf16-mixed", False, True, False),
        ("cpu", "bf16-mixed", True, False, False),
    ],
)
def test_a_run_changes_convolutions_in_bf16_on_amx_only_and_says_so(
    device: str,
    precision: str,
    amx: bool,
    offered: bool,
    changed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    amx_convolution._say_it.cache_clear()
    monkeypatch.setattr(amx_convolution, "cpu_has_amx", lambda: amx)
    network = ResNet18Cifar()
    monkeypatch.setattr(ResNet18Cifar, "amx_convolution", offered)
    use_amx_in_bf16(network, torch.device(device), precision)
    use_amx_in_bf16(network, torch.device(device), precision)
    assert any(isinstance(layer, AMXConv2d) for layer in network.modules()) is changed
    lines = capsys.readouterr().err.splitlines()
    assert lines == (
        ["14 3×3 convolutions are AMXConv2d in this run: the CPU has AMX, and the precision is bf16."] * changed
    )
