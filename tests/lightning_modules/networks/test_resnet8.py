import numpy as np
import pytest
import torch
from scipy.fft import idctn
from sklearn.datasets import load_sample_image
from torch import nn

from lightning_modules.networks import ResNet8
from lightning_modules.networks.resnet8 import CosineStem, ResidualStage, cosine_basis


def test_parameters_are_as_counted_by_hand() -> None:
    stem = 12 * 12 + 2 * 12  # 2 × 2 × 3 numbers a patch, as many patches; a normalisation has two numbers a channel
    stages = sum(9 * (a * b + b * b) + 2 * 2 * b for a, b in ((24, 64), (64, 128), (128, 256)))
    assert sum(p.numel() for p in ResNet8().parameters()) == stem + stages + 256 * 10 + 10 == 1_161_138


def test_widths_scale_the_stages() -> None:
    stem, stages = 4 * 4 + 2 * 4, sum(9 * (a * b + b * b) + 4 * b for a, b in ((8, 4), (4, 6), (6, 9)))
    network = ResNet8(num_classes=5, in_channels=1, widths=(4, 6, 9))
    assert sum(p.numel() for p in network.parameters()) == stem + stages + 9 * 5 + 5


@pytest.mark.parametrize("size", [(9, 9), (32, 32), (28, 28), (32, 20)])
def test_takes_images_of_any_size_from_nine(size: tuple[int, int]) -> None:
    assert ResNet8()(torch.zeros(2, 3, *size)).shape == (2, 10)


@pytest.mark.parametrize("sizes", [(4,), (3, 2, 2), (1, 2, 2), (5, 3)])
def test_the_cosine_basis_is_scipys_inverse_transform_of_unit_vectors(sizes: tuple[int, ...]) -> None:
    n = int(np.prod(sizes))
    expected = np.stack([idctn(np.eye(n)[row].reshape(sizes), norm="ortho") for row in range(n)])
    np.testing.assert_allclose(cosine_basis(*sizes).numpy(), expected, atol=1e-6)


def test_the_stem_nearly_decorrelates_a_photograph() -> None:
    photograph = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[None].float()
    photograph = (photograph - photograph.mean()) / photograph.std()
    stem = CosineStem(3)
    response = stem.norm(stem.conv(photograph)).detach()[0].flatten(1)
    plain = nn.functional.unfold(photograph, kernel_size=2)[0]
    torch.testing.assert_close(response.var(dim=1), torch.ones(12), rtol=0.01, atol=0.01)

    def correlation(rows: torch.Tensor) -> float:
        return float((torch.corrcoef(rows) - torch.eye(12)).abs().sum() / (12 * 11))

    assert correlation(plain) > 0.8
    assert correlation(response) < 0.1


def test_the_stem_passes_both_signs_on() -> None:
    stem = CosineStem(1).eval()
    images = torch.randn(2, 1, 9, 9)
    positive, negative = stem(images).chunk(2, dim=1)
    torch.testing.assert_close(positive - negative, stem.norm(stem.conv(images)))
    assert not (positive * negative).any()


def test_a_frozen_stem_gives_the_same_and_learns_nothing() -> None:
    torch.manual_seed(0)
    free = ResNet8(widths=(4, 6, 8))
    frozen = ResNet8(widths=(4, 6, 8), frozen_stem=True)
    frozen.load_state_dict(free.state_dict())
    images = torch.randn(4, 3, 32, 32)
    for network in (free, frozen):
        network(images).square().sum().backward()
    assert torch.equal(free(images), frozen(images))
    for (name, parameter), other in zip(free.named_parameters(), frozen.parameters(), strict=True):
        if name.startswith("stem."):
            assert other.grad is None
        else:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, other.grad, rtol=0, atol=0)


def test_without_its_second_convolution_a_stage_is_its_shortcut() -> None:
    stage = ResidualStage(4, 6).eval()
    nn.init.zeros_(stage.conv2.weight)
    inputs = torch.randn(2, 4, 8, 8)
    expected = torch.relu(stage.norm1(nn.functional.max_pool2d(stage.conv1(inputs), 2)))
    torch.testing.assert_close(stage(inputs), expected)


def test_refuses_other_than_three_widths() -> None:
    with pytest.raises(ValueError, match=r"widths must be three numbers, one a stage, got 2: \[64, 128\]\."):
        ResNet8(widths=(64, 128))


def test_refuses_a_width_below_one() -> None:
    with pytest.raises(ValueError, match=r"width must be ≥ 1, got 0\."):
        ResNet8(widths=(64, 0, 256))
