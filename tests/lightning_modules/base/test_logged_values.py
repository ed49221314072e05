"""Values for the log come to the host in one copy."""

import pytest
import torch

from lightning_modules.base.logged_values import on_host
from tests.phantom_gpu.device import SYNCS, counts

ROW = {"loss": 0.1, "rate": 1e-3, "skipped": 2.0}


def test_numbers_and_tensors_of_the_cpu_become_tensors_with_the_same_values() -> None:
    found = on_host({"loss": torch.tensor(0.1, requires_grad=True), "rate": 1e-3})
    assert {name: (value.item(), value.dtype, value.requires_grad) for name, value in found.items()} == {
        "loss": (torch.tensor(0.1).item(), torch.float32, False),
        "rate": (torch.tensor(1e-3).item(), torch.float32, False),
    }


@pytest.mark.phantom_gpu(values=True)
def test_the_host_waits_once_for_all() -> None:
    row = {name: torch.tensor(value, device="cuda") for name, value in ROW.items()}
    row["skipped"] = row["skipped"].to(torch.int64)
    before = counts()
    found = on_host({**row, "more": 4.0})
    after = counts()
    assert sum(after[kind] - before[kind] for kind in SYNCS) == 1
    assert found["loss"].device.type == "cpu"
    assert {name: value.item() for name, value in found.items()} == pytest.approx({**ROW, "more": 4.0})
