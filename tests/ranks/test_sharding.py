"""FSDP1 and FSDP2 on two processes: norms and clipping equal those of the unsharded network, and a run is resumed."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from callbacks.gradients.measure import total_norm
from datamodules import DigitsDataModule
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.distributed.sharding import clip_flat_shards_once
from lightning_modules.optimizers.clipping import Norms, clip_gradients_once
from tests.datamodules.support import quiet_trainer
from tests.ranks.processes import StartedElsewhere, in_processes

CLIPS: list[tuple[float | None, str]] = [(None, "norm"), (0.05, "norm"), (100.0, "norm"), (0.01, "value")]


class NormsOfSteps(Callback):
    def __init__(self, keep: str | None = None) -> None:
        self.norms: list[float] = []
        self.keep = keep

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.norms.append(float(pl_module.grad_norm))
        if self.keep is not None and trainer.global_step == 3:
            trainer.save_checkpoint(self.keep)


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


def lightning_fit(
    optimizer: Any = torch.optim.SGD, lr: float = 0.1, keep: str | None = None, resume: str | None = None, **flags: Any
) -> dict[str, Any]:
    """Train our module with Lightning and clipping by norm, which Lightning does not support for shards."""
    torch.manual_seed(0)
    small = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(288, 40), nn.ReLU(), nn.Linear(40, 10))
    module = ImageClassifier(small, optimizer=partial(optimizer, lr=lr, momentum=0.9))
    watch = NormsOfSteps(keep)
    trainer = quiet_trainer(max_steps=6, gradient_clip_val=0.5, limit_val_batches=0, callbacks=[watch], **flags)
    data = DigitsDataModule(batch_size=32 // trainer.world_size, seed=0)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return {"norms": watch.norms, "sharded": type(module.network).__name__, "rate": rate}


def sharded_fit(**options: Any) -> dict[str, Any]:
    strategy = ModelParallelStrategy(2, 1, save_distributed_checkpoint=False, process_group_backend="gloo")
    return lightning_fit(strategy=strategy, devices=2, plugins=[StartedElsewhere()], **options)


def refusal(**options: Any) -> str:
    try:
        sharded_fit(**options)
    except UserError as error:
        return str(error)
    return "none"


def trials(rank: int, count: int, folder: str) -> dict[str, Any]:
    file = f"{folder}/three.ckpt"
    return {
        "lightning": sharded_fit(keep=file),
        "resumed": sharded_fit(resume=file),
        "with another rate": sharded_fit(resume=file, lr=0.02),
        "with another optimizer": refusal(resume=file, optimizer=torch.optim.RMSprop),
        "fsdp1": [fsdp1(rank, clip) for clip in CLIPS],
        "fsdp2": [fsdp2(rank, clip) for clip in CLIPS],
    }


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
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
        assert found["kind"], "a plain tensor, which every logger accepts"
        torch.testing.assert_close(found["after"], [p.detach() for p in reference.parameters()], rtol=1e-6, atol=1e-7)


def test_training_in_shards_with_lightning(ranks: list[Any]) -> None:
    alone = lightning_fit()
    assert alone["sharded"] == "Sequential"
    assert max(alone["norms"]) > 0.5, "it must be clipped"
    for rank in ranks:
        assert rank["lightning"]["sharded"] == "FSDPSequential"
        assert rank["lightning"]["norms"] == pytest.approx(alone["norms"], rel=1e-5)


def test_a_resume_in_shards(ranks: list[Any]) -> None:
    """The strategy loads weights and optimizers itself, when the loader and its position exist already."""
    for rank in ranks:
        assert rank["resumed"]["norms"] == rank["lightning"]["norms"][3:]
        assert rank["with another rate"]["rate"] == 0.02
        assert rank["with another rate"]["norms"][:1] == rank["lightning"]["norms"][3:4]
        assert rank["with another rate"]["norms"][1] != rank["lightning"]["norms"][4]
        assert "was trained with SGD, this run has RMSprop" in rank["with another optimizer"]
