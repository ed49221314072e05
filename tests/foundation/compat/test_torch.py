"""Private parts of torch work as `foundation.compat.torch` expects; a failure here means torch changed."""

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch._C._distributed_c10d import TCPStore
from torch.optim import SGD, lr_scheduler
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from foundation.compat import torch as compat


@pytest.fixture
def _process_group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("_process_group")
def test_the_store_of_the_processes_counts() -> None:
    store = compat.processes_store()
    assert (store.add("canary", 1), store.add("canary", 1)) == (1, 2)


def test_norms_and_products_of_many_tensors() -> None:
    tensors = [torch.tensor([3.0, 4.0]), torch.ones(2, 2)]
    assert [norm.item() for norm in compat.norms_of(tensors)] == [5, 2]
    compat.multiply_in_place(tensors, torch.tensor(0.5))
    assert torch.equal(tensors[0], torch.tensor([1.5, 2.0]))
    compat.multiply_in_place(tensors, [2.0, 4.0])
    compat.multiply_in_place(tensors, [torch.tensor(1.0), torch.tensor(2.0)])
    assert torch.equal(tensors[0], torch.tensor([3.0, 4.0]))
    assert torch.equal(tensors[1], torch.full((2, 2), 4.0))


def test_sums_of_many_tensors() -> None:
    tensors = [torch.zeros(2), torch.ones(3)]
    compat.add_in_place(tensors, [torch.ones(2), torch.ones(3)])
    assert [tensor.tolist() for tensor in tensors] == [[1.0] * 2, [2.0] * 3]
    sums = compat.sums_of(tensors, [torch.ones(2), torch.ones(3)], alpha=0.5)
    assert [tensor.tolist() for tensor in sums] == [[1.5] * 2, [2.5] * 3]
    assert [tensor.tolist() for tensor in compat.reciprocals_of(tensors)] == [[1.0] * 2, [0.5] * 3]


def test_a_module_holds_what_is_registered_in_these_attributes() -> None:
    assert set(vars(nn.Module())) >= compat.MODULE_REGISTRIES


def test_a_buffer_that_is_none_is_there() -> None:
    module = nn.CrossEntropyLoss()
    assert compat.has_buffer(module, "weight"), "torch's losses no longer register `weight` as a buffer"
    assert not compat.has_buffer(module, "reduction")
    assert "weight" not in dict(module.named_buffers()), "named_buffers shows it now: has_buffer is not needed"


def test_batch_norm_of_any_shape_and_every_batch_norm_is_one() -> None:
    layer = compat.BatchNormOfAnyShape(3)
    for shape in ((4, 3), (4, 3, 5), (4, 3, 5, 5), (4, 3, 2, 2, 2)):
        assert layer(torch.randn(shape)).shape == shape
    layers = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, compat.BatchNormOfAnyShape)
    assert all(compat.is_batch_norm(kind(3)) for kind in layers)
    assert not compat.is_batch_norm(nn.GroupNorm(1, 3))


def test_a_fused_optimizer_unscales_until_it_is_told_not_to() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    fused = SGD(weights, lr=0.1, fused=True)
    assert compat.unscales_in_its_step(fused), "torch's fused optimizers no longer say that they unscale"
    assert not compat.unscales_in_its_step(SGD(weights, lr=0.1))
    compat.leave_unscaling_to_the_scaler(fused)
    assert not compat.unscales_in_its_step(fused)


def test_a_scaler_unscales_for_a_fused_optimizer_that_was_told_not_to() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = SGD([weight], lr=1.0, fused=True)
    compat.leave_unscaling_to_the_scaler(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(weight.sum()).backward()
    scaler.step(optimizer)
    assert torch.equal(weight.detach(), torch.zeros(2)), "GradScaler no longer reads `_step_supports_amp_scaling`"


def test_the_last_rate_of_a_scheduler_can_be_set() -> None:
    scheduler = lr_scheduler.StepLR(SGD([nn.Parameter(torch.ones(1))], lr=0.1), 2)
    compat.set_last_lr(scheduler, [0.5])
    assert scheduler.get_last_lr() == [0.5]
    assert {compat.LAST_LR, compat.STEP_COUNT} <= scheduler.state_dict().keys(), (
        "the state of schedulers has other keys"
    )


def test_the_length_of_one_cycle_is_in_these_keys() -> None:
    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
    states = [lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=steps).state_dict() for steps in (10, 20)]
    assert {key for key in states[0] if states[0][key] != states[1][key]} == compat.ONE_CYCLE_LENGTH


def test_the_schedulers_inside_others_are_found() -> None:
    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    inner = [lr_scheduler.ConstantLR(optimizer), lr_scheduler.StepLR(optimizer, 2)]
    assert compat.inner_schedulers(lr_scheduler.SequentialLR(optimizer, inner, [3])) == inner
    assert compat.inner_schedulers(lr_scheduler.ChainedScheduler(inner)) == inner
    assert compat.inner_schedulers(inner[0]) == []


def test_a_summary_is_written_into_the_writers_own_file(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    for summary in hparams({"rate": 0.5}, {"loss": 0.0}):
        compat.write_summary(writer, summary)
    writer.close()
    assert [path.parent for path in tmp_path.rglob("events*")] == [tmp_path]
    assert b"rate" in next(tmp_path.glob("events*")).read_bytes()


def refused(**options: Any) -> str:
    with pytest.raises(Exception) as error:
        TCPStore("127.0.0.1", timeout=timedelta(seconds=1), **options)
    return " ".join(str(error.value).split())


def test_torch_words_a_missing_process_as_known() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert re.search(compat.PORT_IN_USE, refused(port=port, world_size=2, is_master=True))
    assert re.search(compat.NO_ANSWER_FROM_MASTER, refused(port=port, world_size=2, is_master=False))
    assert re.search(compat.PROCESSES_MISSING, refused(port=0, world_size=2, is_master=True))


def test_a_transform_is_known_to_be_active() -> None:
    seen: list[bool] = []

    def note(x: torch.Tensor) -> torch.Tensor:
        seen.append(compat.transforms_active())
        return x.sum()

    note(torch.ones(2))
    torch.func.grad(note)(torch.ones(2))
    torch.vmap(note)(torch.ones(2, 2))
    assert seen == [False, True, True], "`_are_functorch_transforms_active`"
