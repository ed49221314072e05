"""Synchronised batch norm: precision, and layers of timm that also apply an activation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers import BatchNormAct2d  # type: ignore[attr-defined]
from torch import Tensor, nn

from foundation.errors import UserError
from lightning_modules.distributed.gathered_batch_norm import BatchNormSync, GatheredBatchNorm, GatheredBatchNormAct
from tests.ranks.processes import in_processes


class Whole(nn.Module):
    """Stands for a module on a device."""

    def __init__(self, *layers: nn.Module, device: str = "cpu") -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        strategy = type("Strategy", (), {"root_device": torch.device(device)})
        self.trainer = type("Trainer", (), {"strategy": strategy})


def images(half: bool = False) -> Tensor:
    made = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 10
    return made.bfloat16() if half else made


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_activation_of_timms_layer_stays(device: str) -> None:
    module, plugin = Whole(BatchNormAct2d(3), nn.BatchNorm2d(3), device=device), BatchNormSync()
    with torch.no_grad():
        before = module.layers(images())
    plugin.apply(module)
    assert [type(layer) for layer in module.layers] == [GatheredBatchNormAct, GatheredBatchNorm]
    module.layers[0].reset_running_stats()  # type: ignore[union-attr, operator]
    with torch.no_grad():
        torch.testing.assert_close(module.layers(images()), before)
    plugin.revert(module)
    assert [type(layer) for layer in module.layers] == [BatchNormAct2d, nn.BatchNorm2d]


def test_a_layer_with_a_forward_pass_of_its_own_is_refused() -> None:
    class Doubled(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return 2 * super().forward(input)

    with pytest.raises(UserError, match="Doubled is a batch norm with a forward pass of its own"):
        BatchNormSync().apply(Whole(Doubled(3)))


def of_rank(rank: int, count: int, folder: str) -> dict[str, Any]:
    results = {}
    for half in (False, True):
        module = Whole(BatchNormAct2d(3))
        BatchNormSync().apply(module)
        output = module.layers(images(half)[rank::count])
        results[f"output {half}"] = output.detach()
        results[f"mean {half}"] = module.layers[0].running_mean.clone()  # type: ignore[union-attr, operator]
        results[f"var {half}"] = module.layers[0].running_var.clone()  # type: ignore[union-attr, operator]
    return results


def test_two_processes_have_the_statistics_of_all_images_also_in_half_precision(tmp_path: Path) -> None:
    first, second = in_processes(2, of_rank, tmp_path)
    for half in (False, True):
        layer = BatchNormAct2d(3)
        expected = layer(images(half).float())
        dtype = torch.bfloat16 if half else torch.float32
        assert first[f"output {half}"].dtype == dtype
        for rank, found in enumerate((first, second)):
            torch.testing.assert_close(
                found[f"output {half}"],
                expected[rank::2].to(dtype),
                atol=1e-2 if half else 1e-5,
                rtol=1e-2 if half else 1e-5,
            )
            torch.testing.assert_close(found[f"mean {half}"], layer.running_mean, rtol=1e-6, atol=1e-6)
            torch.testing.assert_close(found[f"var {half}"], layer.running_var, rtol=1e-5, atol=1e-6)
