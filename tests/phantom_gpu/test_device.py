"""The phantom GPU itself: torch finds devices, values are right where they are wanted, late copies and poison show."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from tests.phantom_gpu import device
from tests.phantom_gpu.values import on_host

on_device = pytest.mark.phantom_gpu
with_values = pytest.mark.phantom_gpu(values=True)


@on_device
def test_torch_finds_one_device() -> None:
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 1
    assert torch.ones(3, device="cuda").device == torch.device("cuda:0")


@pytest.mark.phantom_gpu(devices=2)
def test_torch_finds_two_devices() -> None:
    assert torch.cuda.device_count() == 2
    assert torch.ones(3, device="cuda:1").device == torch.device("cuda:1")


@on_device
def test_a_mix_of_devices_is_refused() -> None:
    with pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu"):
        torch.ones(3, device="cuda") + torch.ones(3)


@with_values
def test_values_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    images, targets = torch.randn(5, 3, 8, 8), torch.tensor([0, 1, 0, 1, 1])
    losses: dict[str, list[float]] = {}
    start = {name: value.clone() for name, value in network.state_dict().items()}
    for where in ("cpu", "cuda"):
        network.load_state_dict(start)
        network.to(where)
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        for _ in range(3):
            loss = nn.functional.cross_entropy(network(images.to(where)), targets.to(where))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.setdefault(where, []).append(loss.item())
    assert losses["cuda"] == losses["cpu"]
    assert losses["cuda"][2] < losses["cuda"][0]


@with_values
def test_masks_and_random_numbers_of_the_device() -> None:
    numbers = torch.arange(6.0, device="cuda")
    assert numbers[numbers > 2].tolist() == [3.0, 4.0, 5.0]
    numbers[numbers > 2] = 0
    assert numbers.tolist() == [0.0, 1.0, 2.0, 0.0, 0.0, 0.0]
    torch.cuda.manual_seed(0)
    first, second = (torch.rand(3, device="cuda").cpu() for _ in range(2))
    torch.cuda.manual_seed(0)
    assert torch.equal(torch.rand(3, device="cuda").cpu(), first)
    assert not torch.equal(first, second)
    assert torch.equal(numbers.t().to(torch.int32).cpu(), torch.tensor([0, 1, 2, 0, 0, 0], dtype=torch.int32))


@pytest.mark.phantom_gpu(ranks=2)
def test_two_ranks_exchange_values(rank: int) -> None:
    torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl")
    numbers = torch.full((3,), rank + 1.0).cuda()
    torch.distributed.all_reduce(numbers)
    assert numbers.tolist() == [3.0, 3.0, 3.0]
    gathered = torch.zeros(2, device="cuda")
    torch.distributed.all_gather_into_tensor(gathered, torch.full((1,), float(rank)).cuda())
    assert gathered.tolist() == [0.0, 1.0]
    halves = torch.zeros(2, device="cuda")
    torch.distributed.reduce_scatter_tensor(halves, torch.arange(4.0).cuda(), op=torch.distributed.ReduceOp.AVG)
    assert halves.tolist() == [2.0 * rank, 2.0 * rank + 1]
    torch.distributed.destroy_process_group()


@pytest.mark.phantom_gpu(values=True, deferred=True)
def test_a_copy_that_is_read_too_early_shows() -> None:
    numbers = torch.arange(4.0, device="cuda")
    copied = numbers.to("cpu", non_blocking=True)
    assert copied.isnan().all()
    torch.cuda.synchronize()
    assert copied.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.phantom_gpu(values=True, deferred=True)
def test_a_batch_from_another_stream_needs_a_wait() -> None:
    batch, stream = torch.arange(4.0).pin_memory(), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        moved = batch.to("cuda", non_blocking=True)
    assert (moved + 1).isnan().all()
    torch.cuda.current_stream().wait_stream(stream)
    assert (moved + 1).tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.phantom_gpu(deferred=True)
def test_a_pinned_buffer_that_is_written_to_too_early_is_counted() -> None:
    batch = torch.arange(4.0).pin_memory()
    moved = batch.to("cuda", non_blocking=True)
    batch.zero_()
    torch.cuda.synchronize()
    assert device.library().phantom_count(device.kinds().index("source_changed")) == 1
    assert moved.is_cuda
    device.forgive()


@pytest.mark.phantom_gpu(values=True, poisoned=True)
def test_fresh_and_freed_memory_holds_nan() -> None:
    assert torch.empty(4, device="cuda").isnan().all()
    numbers = torch.ones(4096, device="cuda")
    stale = on_host(numbers)
    del numbers
    assert stale.isnan().all()


@on_device
def test_a_capture_forbids_a_synchronisation() -> None:
    numbers = torch.ones(3, device="cuda")
    stream = torch.cuda.Stream()
    graph = torch.cuda.CUDAGraph()
    refused = pytest.raises(RuntimeError, match="not permitted when stream is capturing")
    with refused, torch.cuda.stream(stream), torch.cuda.graph(graph):
        numbers.sum().item()


@pytest.mark.phantom_gpu(devices=2)
def test_a_child_process_has_it_too() -> None:
    code = "import torch; print(torch.cuda.device_count(), torch.ones(2, device='cuda').sum().item())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PHANTOM_VALUES": "1"}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "2.0"], done.stderr
