"""Raw FSDP1 and FSDP2 on two processes: our norms and our clipping are those of the unsharded network."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from callbacks.gradient_measure import total_norm
from lightning_modules.clipping import Norms, clip_gradients_once
from lightning_modules.sharding import clip_flat_shards_once
from tests.ranks.processes import in_processes

CLIPS: list[tuple[float | None, str]] = [(None, "norm"), (0.05, "norm"), (100.0, "norm"), (0.01, "value")]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 33), nn.Tanh(), nn.Linear(33, 3))


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(10, 7, generator=generator), torch.randn(10, 3, generator=generator)


def backward(model: nn.Module, rank: int = 0, count: int = 1) -> None:
    inputs, targets = (tensor[rank::count] for tensor in batch())
    nn.functional.mse_loss(model(inputs), targets).backward()


def weights(model: nn.Module, clip: tuple[float | None, str], norms: Norms) -> dict[str, Any]:
    return {"norm": float(norms.true), "kind": type(norms.true) is Tensor, "clip": clip}


def fsdp1(rank: int, clip: tuple[float | None, str]) -> dict[str, Any]:
    root = FullyShardedDataParallel(network(), device_id=torch.device("cpu"), use_orig_params=True)
    optimizer = torch.optim.SGD(root.parameters(), lr=1.0)
    backward(root, rank, 2)
    norms = clip_flat_shards_once(root, *clip)
    optimizer.step()
    with FullyShardedDataParallel.summon_full_params(root):
        after = [p.detach().clone() for p in root.parameters()]
    return weights(root, clip, norms) | {"after": after}


def fsdp2(rank: int, clip: tuple[float | None, str]) -> dict[str, Any]:
    model: Any = network()
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    backward(model, rank, 2)
    measured = float(total_norm(optimizer))
    norms = clip_gradients_once(model.parameters(), *clip)
    optimizer.step()
    after = [p.detach().full_tensor().clone() for p in model.parameters()]  # type: ignore[operator]
    return weights(model, clip, norms) | {"after": after, "measured": measured}


def trials(rank: int, count: int, folder: str) -> dict[str, list[dict[str, Any]]]:
    return {"fsdp1": [fsdp1(rank, clip) for clip in CLIPS], "fsdp2": [fsdp2(rank, clip) for clip in CLIPS]}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[dict[str, Any]]]]:
    return in_processes(2, trials, tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("kind", ["fsdp1", "fsdp2"])
@pytest.mark.parametrize("number", range(len(CLIPS)))
def test_norms_and_clipping(ranks: list[Any], kind: str, number: int) -> None:
    reference, (clip, algorithm) = network(), CLIPS[number]
    optimizer = torch.optim.SGD(reference.parameters(), lr=1.0)
    backward(reference)
    gradients = torch.cat([p.grad.flatten() for p in reference.parameters() if p.grad is not None])
    expected = float(gradients.norm())
    assert 0.05 < expected < 100
    if clip is not None and algorithm == "norm":
        torch.nn.utils.clip_grad_norm_(reference.parameters(), clip)
    elif clip is not None:
        assert gradients.abs().max() > clip
        torch.nn.utils.clip_grad_value_(reference.parameters(), clip)
    optimizer.step()
    for rank in ranks:
        found = rank[kind][number]
        assert found["norm"] == pytest.approx(expected, rel=1e-6)
        assert found.get("measured", expected) == pytest.approx(expected, rel=1e-6)
        assert found["kind"], "a plain number, which anybody can log"
        torch.testing.assert_close(found["after"], [p.detach() for p in reference.parameters()], rtol=1e-6, atol=1e-7)
