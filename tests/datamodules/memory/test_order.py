"""Order of an epoch: a permutation by seed and epoch, divided among the ranks, resumed by skipping."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from scipy import stats

from datamodules import DigitsDataModule
from datamodules.memory.images import Images
from datamodules.memory.order import EpochOrder, EvaluationOrder


def in_epoch(order: EpochOrder, epoch: int) -> list[int]:
    order.set_epoch(epoch)
    return list(order)


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [21, 100])
def test_ranks_share_one_order(count: int, processes: int) -> None:
    whole = in_epoch(EpochOrder(range(count), seed=3), 5)
    parts = [in_epoch(EpochOrder(range(count), 3, processes, rank), 5) for rank in range(processes)]
    assert sorted(whole) == list(range(count))
    assert {len(part) for part in parts} == {count // processes}
    together = [index for group in zip(*parts, strict=True) for index in group]
    assert together == whole[: count // processes * processes]


def test_other_samples_are_left_out_in_each_epoch() -> None:
    order = EpochOrder(range(5), seed=0, num_replicas=2, rank=0), EpochOrder(range(5), seed=0, num_replicas=2, rank=1)
    out = {(set(range(5)) - set(in_epoch(order[0], e)) - set(in_epoch(order[1], e))).pop() for e in range(40)}
    assert out == set(range(5))


def test_every_position_is_equally_likely() -> None:
    places = torch.tensor([in_epoch(EpochOrder(range(6), seed=1), epoch).index(2) for epoch in range(3_000)])
    assert stats.chisquare(torch.bincount(places, minlength=6).numpy()).pvalue > 1e-4


def test_order_depends_on_seed_and_epoch_only() -> None:
    torch.manual_seed(0)
    one = in_epoch(EpochOrder(range(50), seed=1), 2)
    state = torch.get_rng_state()
    torch.rand(3)
    assert in_epoch(EpochOrder(range(50), seed=1), 2) == one
    assert in_epoch(EpochOrder(range(50), seed=2), 1) != one  # torch's own sampler adds the two
    assert in_epoch(EpochOrder(range(50), seed=1), 3) != one
    torch.set_rng_state(state)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("done", [0, 1, 7, 50])
def test_skips_done_samples_in_the_resumed_epoch_only(done: int, processes: int) -> None:
    fresh = EpochOrder(range(100), 0, processes, 0)
    resumed = EpochOrder(range(100), 0, processes, 0, resume=(4, done))
    for epoch in (0, 3, 4, 5):
        assert in_epoch(resumed, epoch) == in_epoch(fresh, epoch)[done if epoch == 4 else 0 :]
        assert len(resumed) == len(fresh) == 100 // processes


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [7, 21, 100])
def test_evaluation_gives_each_sample_to_one_rank(count: int, processes: int) -> None:
    orders = [EvaluationOrder(range(count), processes, rank) for rank in range(processes)]
    parts = [list(order) for order in orders]
    assert sorted(index for part in parts for index in part) == list(range(count))
    assert [len(order) for order in orders] == [len(part) for part in parts]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("processes", [1, 3])
def test_shuffled_evaluation_has_each_sample_once_and_a_representative_beginning(processes: int) -> None:
    count = 1000
    orders = [list(EvaluationOrder(range(count), processes, rank, shuffled=True)) for rank in range(processes)]
    assert sorted(row for order in orders for row in order) == list(range(count))
    assert orders == [list(EvaluationOrder(range(count), processes, rank, shuffled=True)) for rank in range(processes)]
    first = [row * 10 // count for row in orders[0][:100]]  # of ten classes in sequence
    assert all(2 <= first.count(label) <= 20 for label in range(10))


def test_overfit_batches_repeats_a_mixed_sample_in_the_same_order(tmp_path: Path) -> None:
    """Lightning would replace other samplers by the order of the data, in which a folder's classes follow each other."""

    class Sorted(DigitsDataModule):
        def training_images(self) -> Images:
            pixels, targets = super().training_images()
            order = targets.sort().indices
            return Images(pixels[order], targets[order])

    class Seen(BoringModel):
        def __init__(self) -> None:
            super().__init__()
            self.seen: dict[str, list[torch.Tensor]] = {"train": [], "val": []}

        def training_step(self, batch: Any, batch_idx: int) -> Any:  # type: ignore[override]
            self.seen["train"].append(batch[1])
            return super().training_step(batch[0].new_zeros(len(batch[0]), 32), batch_idx)

        def validation_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            self.seen["val"].append(batch[1])

    module, data = Seen(), Sorted(batch_size=32, eval_batch_size=32)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, overfit_batches=1, num_sanity_val_steps=0, default_root_dir=tmp_path, **quiet
    )
    trainer.fit(module, datamodule=data)
    for first, second in module.seen.values():
        assert torch.equal(first, second)
        assert len(first.unique()) > 5
    assert data.state_dict()["position"]["epoch"] == 1, "the position is that of the loader in use"
