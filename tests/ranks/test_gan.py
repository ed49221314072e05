"""A GAN on two processes: both networks stay identical on both ranks, and both are trained."""

from functools import partial
from typing import Any

import pytest
import torch

from callbacks import BlackBox, ExactResume, GradientNorm, RankGuard
from datamodules import DigitsDataModule
from lightning_modules import GAN
from lightning_modules.networks import DCGANDiscriminator, DCGANGenerator
from tests.datamodules.support import quiet_trainer
from tests.ranks.processes import ddp, in_processes

ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999))


def trained(rank: int, count: int, folder: str) -> dict[str, Any]:
    torch.manual_seed(0)
    generator = DCGANGenerator(channels=1, size=8, width=4, latent_size=8)
    discriminator = DCGANDiscriminator(channels=1, size=8, width=4)
    module = GAN(generator, discriminator, generator_optimizer=ADAM, discriminator_optimizer=ADAM)
    before = {name: tensor.clone() for name, tensor in module.named_parameters()}
    trainer = quiet_trainer(
        strategy=ddp(),
        devices=2,
        max_epochs=1,
        limit_train_batches=6,
        num_sanity_val_steps=0,
        callbacks=[ExactResume(seed=1), RankGuard(every_n_steps=1), GradientNorm(), BlackBox()],
        default_root_dir=folder,
    )
    trainer.fit(module, DigitsDataModule(batch_size=16, eval_batch_size=50, seed=3, mean=[0.5], std=[0.5]))
    return {
        "weights": {name: tensor.detach() for name, tensor in module.named_parameters()},
        "moved": [name for name, tensor in module.named_parameters() if not torch.equal(tensor, before[name])],
        "steps": trainer.global_step,
        "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
    }


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_processes(2, trained, tmp_path_factory.mktemp("gan"))


def test_weights_and_metrics_are_identical_on_both_ranks(ranks: list[dict[str, Any]]) -> None:
    first, second = ranks
    assert first["steps"] == second["steps"] == 6
    assert set(first["moved"]) == set(first["weights"])
    assert all(torch.equal(tensor, second["weights"][name]) for name, tensor in first["weights"].items())
    assert first["metrics"] == second["metrics"]
    assert "val/sliced_wasserstein" in first["metrics"]
