"""Two processes: training divides the images, evaluation loads each exactly once, and neither process blocks."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from datamodules import CropFlip
from datamodules.memory.order import EpochOrder
from foundation.errors import UserError
from tests.datamodules.memory.test_resume import SaveEverywhere
from tests.datamodules.support import MadeUp, Recorder, quiet_trainer
from tests.ranks.processes import started

TIMEOUT = 240  # seconds, enough on a busy machine
Seen = list[tuple[str, int, Tensor, Tensor]]


class Normed(Recorder):
    """A BatchNorm, whose buffers DDP broadcasts: it would block if a rank had no validation batch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(48)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) + 0 * self.norm(batch[0].flatten(1)).sum()


class StartedElsewhere(LightningEnvironment):
    """Environment of processes that the test has started."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


def data(**kwargs: Any) -> MadeUp:
    """90 images to train on, 11 to validate, 7 to test: odd numbers, so that the ranks differ by a batch."""
    arguments = {"batch_size": 8, "eval_batch_size": 1, "val_share": 0.11, "augmentation": CropFlip(1)}
    return MadeUp(train=101, test=7, classes=1, **(arguments | kwargs))


def two_process_trainer(**kwargs: Any) -> Trainer:
    strategy = DDPStrategy(cluster_environment=StartedElsewhere(), process_group_backend="gloo")
    return quiet_trainer(max_epochs=2, strategy=strategy, devices=2, num_sanity_val_steps=0, **kwargs)


def run(rank: int, folder: str) -> None:
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    fitted, tested, resumed = Normed(), Normed(), Normed()
    two_process_trainer(callbacks=[SaveEverywhere(Path(folder))]).fit(fitted, data(seed=3))
    two_process_trainer().test(tested, data(seed=3))
    two_process_trainer().fit(resumed, data(), ckpt_path=f"{folder}/7.ckpt")
    torch.save([fitted.seen, tested.seen, resumed.seen], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list[Seen]]:
    """The batches of both ranks: fitted, tested, resumed in the middle of the second epoch."""
    folder = tmp_path_factory.mktemp("ranks")
    context = started(run, (str(folder),))
    try:
        assert context.join(timeout=TIMEOUT) or context.join(timeout=TIMEOUT), "the ranks wait for each other"
    finally:
        for process in context.processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def images_of(seen: Seen, stage: str, epoch: int) -> list[Tensor]:
    return [images for at_stage, at, images, _ in seen if (at_stage, at) == (stage, epoch)]


def as_set(images: Tensor) -> list[bytes]:
    return sorted(image.contiguous().numpy().tobytes() for image in images)


def test_training_is_divided(ranks: list[list[Seen]]) -> None:
    alone = data(seed=3)
    alone.setup("fit")
    assert alone.train_set is not None
    for epoch in range(2):
        for rank in range(2):
            order = EpochOrder(alone.train_set, 3, 2, rank)
            order.set_epoch(epoch)
            mine = list(order)[:40]  # of 45, in whole batches of 8
            batch = alone.train_set.__getitems__(mine)
            expected, _ = alone.prepare_batch(batch, training=True, epoch=epoch)
            assert torch.equal(torch.cat(images_of(ranks[rank][0], "train", epoch)), expected)


def test_each_validation_image_once(ranks: list[list[Seen]]) -> None:
    alone = data(seed=3)
    alone.setup("fit")
    expected = torch.cat([alone.prepare_batch(batch, training=False)[0] for batch in alone.val_dataloader()])
    for epoch in range(2):
        parts = [images_of(rank[0], "val", epoch) for rank in ranks]
        assert [len(part) for part in parts] == [6, 5]
        assert as_set(torch.cat(parts[0] + parts[1])) == as_set(expected)


def test_each_test_image_once(ranks: list[list[Seen]]) -> None:
    alone = data()
    alone.setup("test")
    expected = torch.cat([alone.prepare_batch(batch, training=False)[0] for batch in alone.test_dataloader()])
    parts = [images_of(rank[1], "test", 0) for rank in ranks]
    assert [len(part) for part in parts] == [4, 3]
    assert as_set(torch.cat(parts[0] + parts[1])) == as_set(expected)


def test_resumed_in_the_middle_of_an_epoch(ranks: list[list[Seen]]) -> None:
    for fitted, _, resumed in ranks:
        whole, rest = images_of(fitted, "train", 1), images_of(resumed, "train", 1)
        assert len(whole) == 5
        assert len(rest) == 3
        assert torch.equal(torch.cat(rest), torch.cat(whole[2:]))
        assert not images_of(resumed, "train", 0)


class Many:
    """Stand-in for a trainer of 12 processes."""

    world_size, global_rank = 12, 3


def test_fewer_images_than_processes() -> None:
    module = data()
    module.setup("fit")
    module.trainer = Many()  # type: ignore[assignment]
    with pytest.raises(UserError, match="11 validation images cannot be divided among 12 processes"):
        module.val_dataloader()


def test_batch_larger_than_a_share() -> None:
    module = data()
    module.setup("fit")
    module.trainer = Many()  # type: ignore[assignment]
    with pytest.raises(UserError, match="the training data, 7 images for each of 12 processes"):
        module.train_dataloader()
