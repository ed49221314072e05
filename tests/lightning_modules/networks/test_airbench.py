import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import nn

from lightning_modules.networks import AirbenchNet
from lightning_modules.networks.airbench import Stage, whitening_filters


def first_stage(network: AirbenchNet) -> Stage:
    stage = network.stages[0]
    assert isinstance(stage, Stage)
    return stage


def test_parameters_are_as_counted_by_hand() -> None:
    convolutions = sum(9 * (a * b + b * b) for a, b in ((24, 64), (64, 256), (256, 256)))
    shifts = 2 * (64 + 256 + 256)
    trained = sum(p.numel() for p in AirbenchNet().parameters() if p.requires_grad)
    assert trained == convolutions + shifts + 10 * 256 == 1_971_328


def test_filters_start_as_the_identity() -> None:
    network = AirbenchNet(widths=(30, 32, 32))
    maps = torch.randn(2, 24, 9, 9)
    torch.testing.assert_close(first_stage(network).conv1(maps)[:, :24], maps)


def test_logits_have_unit_weights_divided_by_the_width() -> None:
    network = AirbenchNet()
    assert float(network.head.weight.detach().std()) == pytest.approx(1.0, abs=1e-4)
    features: list[torch.Tensor] = []
    network.stages.register_forward_hook(lambda module, inputs, output: features.append(output))
    logits = network(torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(logits, features[0].amax(dim=(2, 3)) @ network.head.weight.T / 256)


def test_nothing_below_the_first_stage_is_trained() -> None:
    network = AirbenchNet(widths=(4, 6, 8))
    network(torch.randn(4, 3, 32, 32)).square().sum().backward()
    frozen = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert frozen == {name for name, _ in network.named_parameters() if name.startswith("stem.")} | {
        f"stages.{stage}.norm{number}.weight" for stage in range(3) for number in (1, 2)
    }


@pytest.mark.parametrize("size", [9, 25, 28, 32])
def test_takes_images_of_several_sizes(size: int) -> None:
    assert AirbenchNet(in_channels=1)(torch.zeros(2, 1, size, size)).shape == (2, 10)


def test_the_stem_nearly_whitens_a_photograph() -> None:
    photograph = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[None].float()[..., ::8, ::8]
    photograph = (photograph - photograph.mean((2, 3), keepdim=True)) / photograph.std((2, 3), keepdim=True)
    responses = nn.functional.conv2d(photograph, whitening_filters(3))[0].flatten(1)
    assert whitening_filters(3).shape == (12, 3, 2, 2)
    assert 0.2 < float(responses.std(dim=1).min()) < float(responses.std(dim=1).max()) < 6
    correlations = torch.corrcoef(responses) - torch.eye(12)
    assert float(correlations.abs().sum() / (12 * 11)) < 0.2
    patches = nn.functional.unfold(photograph, kernel_size=2)[0]
    assert float((torch.corrcoef(patches) - torch.eye(12)).abs().sum() / (12 * 11)) > 0.5


def test_channels_of_other_images_are_whitened_alone() -> None:
    grey, two = whitening_filters(1), whitening_filters(2)
    assert grey.shape == (4, 1, 2, 2)
    assert torch.equal(two[:4, :1], grey)
    assert torch.equal(two[4:, 1:], grey)
    assert not two[:4, 1].any()


def test_a_stage_is_written_out() -> None:
    stage = first_stage(AirbenchNet(widths=(30, 32, 32)))
    maps = torch.randn(5, 24, 8, 8)

    def normal(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean((0, 2, 3), keepdim=True)) / x.var((0, 2, 3), keepdim=True, unbiased=False).sqrt()

    gelu = nn.GELU()
    hidden = gelu(normal(nn.functional.max_pool2d(stage.conv1(maps), 2)))
    torch.testing.assert_close(stage(maps), gelu(normal(stage.conv2(hidden))), rtol=1e-4, atol=1e-4)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="widths must be three numbers, one a stage, got 1"):
        AirbenchNet(widths=(4,))
    with pytest.raises(ValueError, match="width must be ≥ 1, got 0"):
        AirbenchNet(widths=(4, 0, 4))
