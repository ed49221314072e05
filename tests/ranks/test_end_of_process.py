"""Processes end in order, with no exchange unfinished, and never wait longer than the timeout."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from callbacks.distributed.async_max import AsyncMax, wait_briefly
from callbacks.distributed.rank_guard import RankGuard
from callbacks.resuming.preemption import Preemption
from tests.ranks.processes import PATIENCE, in_processes

ROOT = Path(__file__).parents[2]

# The script holds the interpreter's lock while it exits: a gloo thread that needs it aborts the process (exit code -6).
ENDS = """
import atexit, ctypes, os, sys, time
for _ in range(2):
    atexit.register(ctypes.PyDLL(None).usleep, 900_000)
from datetime import timedelta
import torch
from callbacks.distributed.async_max import AsyncMax
from foundation.processes import end_process

rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method=f"file://{sys.argv[2]}/meet", rank=rank, world_size=2)
maximum = AsyncMax(distributed=True, timeout=timedelta(seconds=60))
maximum.reduce(rank)
torch.distributed.barrier()
if rank:
    time.sleep(0.5)  # rank 0 is at its end by now
maximum.reduce(rank)
maximum.close()
del maximum  # as at the end of a command, where nothing holds it
end_process()
names = [open(f"/proc/self/task/{number}/comm").read().strip() for number in os.listdir("/proc/self/task")]
print(names.count("pt_gloo_runloop"), torch.distributed.is_initialized())
"""


def test_processes_end_in_order_when_one_is_late(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ENDS, str(rank), str(tmp_path)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    assert [text.splitlines()[-1] for text in said] == ["0 False", "0 False"]


def test_waiting_ends_at_the_timeout(tmp_path: Path) -> None:
    (text, shortly), _ = in_processes(2, one_is_silent, tmp_path)
    assert "Timed out waiting 1000ms" in text
    assert 0.2 <= shortly < 1


def one_is_silent(rank: int, count: int, folder: str) -> tuple[str, float]:
    """Rank 1 never says a number; rank 0 gives it a moment, and then the seconds that were stated."""
    maximum = AsyncMax(distributed=True, timeout=timedelta(seconds=1))
    text, shortly = "", 0.0
    if rank == 0:
        maximum.reduce(15)
        began = time.monotonic()
        wait_briefly(cast(Any, maximum.pending)[0], 0.2)
        shortly = time.monotonic() - began
        with pytest.raises(RuntimeError) as ended:
            maximum.reduce(15)
        text = str(ended.value)
    torch.distributed.barrier()
    return text, shortly


class Work:
    """An exchange that is complete at the third check."""

    checks = 0

    def is_completed(self) -> bool:
        self.checks += 1
        return self.checks > 2


@pytest.mark.parametrize("kind", [Preemption, RankGuard])
def test_a_failed_run_waits_for_its_exchange(kind: type[Preemption | RankGuard]) -> None:
    callback, work, answer = kind(), Work(), torch.tensor(0)
    if isinstance(callback, Preemption):
        callback.signal_max.pending = work, answer
    else:
        callback.pending = work, answer, answer
    callback.on_exception(
        Trainer(accelerator="cpu", logger=False, barebones=True), cast(LightningModule, None), ValueError("a full disk")
    )
    assert work.checks == 3
