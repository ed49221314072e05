"""Means over samples, not over batches."""

import pytest
import torch

from foundation.hardware import widest_float
from lightning_modules.base.epoch_means import EpochMeans


def test_equal_to_the_mean_over_all_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(70, generator=generator, dtype=torch.float64)
    means = EpochMeans()
    for batch in values.float().split(32):  # 32, 32, 6: the mean of batch means is another number
        means.update(len(batch), loss=batch.mean())
    torch.testing.assert_close(means.compute()["loss"].double(), values.mean(), rtol=1e-6, atol=0)
    of_batches = torch.stack([batch.mean() for batch in values.split(32)]).mean()
    assert abs(of_batches - values.mean()) > 1e-3


def test_a_batch_of_nothing_adds_nothing() -> None:
    means = EpochMeans()
    means.update(0, loss=torch.tensor(float("nan")))
    assert means.compute() == {}
    means.update(2, loss=torch.tensor(3.0))
    assert means.compute()["loss"].item() == 3.0


def test_goes_on_from_its_state() -> None:
    whole, first, second = EpochMeans(), EpochMeans(), EpochMeans()
    for index in range(6):
        whole.update(index + 1, loss=torch.tensor(float(index)), accuracy=torch.tensor(0.5))
        (first if index < 3 else second).update(index + 1, loss=torch.tensor(float(index)), accuracy=torch.tensor(0.5))
    resumed = EpochMeans()
    resumed.load_state_dict(first.state_dict())
    for index in range(3, 6):
        resumed.update(index + 1, loss=torch.tensor(float(index)), accuracy=torch.tensor(0.5))
    assert resumed.compute() == whole.compute()


def test_reduce_sums_over_processes() -> None:
    means = EpochMeans()
    means.update(2, loss=torch.tensor(1.0))
    other = torch.tensor([2 * 4.0, 2.0], dtype=torch.float64)  # another process: two samples of mean 4
    assert means.compute(lambda total: total + other)["loss"].item() == 2.5


def test_sums_do_not_hold_the_graph() -> None:
    means = EpochMeans()
    means.update(1, loss=torch.ones((), requires_grad=True) * 2)
    assert not means.sums["loss"].requires_grad


def test_loaded_sums_follow_the_next_batch_to_its_device() -> None:
    saved = EpochMeans()
    saved.update(2, loss=torch.tensor(1.0), accuracy=torch.tensor(0.5))
    resumed = EpochMeans()
    resumed.load_state_dict(saved.state_dict())
    resumed.update(2, loss=torch.tensor(3.0, device="meta"))  # stands for a GPU: a checkpoint is read onto the CPU
    assert {name: total.device.type for name, total in resumed.sums.items()} == {"loss": "meta", "accuracy": "meta"}


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float64), ("cuda", torch.float64), ("mps", torch.float32)])
def test_dtype_of_the_sums(device: str, dtype: torch.dtype) -> None:
    assert widest_float(torch.device(device)) == dtype
