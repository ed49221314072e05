"""`descent fit` whose processes cannot connect or differ: a one-line error, exit code 2, no process left.

One test starts them as a user does; the others fork them, with the environment that torchrun or a cluster gives them.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.descent.helpers import SHORT
from tests.forked import Forked, free_port, ranks

ROOT = Path(__file__).parents[3]
PATIENCE = 240  # seconds, for a busy machine


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    """Bind a socket to a free port; it does not answer until it listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


DDP = [*SHORT, "--trainer.strategy=ddp"]


def on_a_node(words: list[str], port: int, rank: int, seconds: int) -> Forked:
    """Start `descent fit` on one of two nodes; it waits for the other for that many seconds."""
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(rank)}
    two = ["--trainer.devices=1", "--trainer.num_nodes=2"]
    return Forked([*DDP, *two, *words], **environment, DESCENT_TIMEOUT=str(seconds))


def errors(process: "Forked | subprocess.Popen[str]") -> list[str]:
    """Return the error lines of a command that exits with code 2; its output ends when all processes have ended."""
    try:
        said, mistakes = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 2, said + mistakes
    assert "Traceback" not in mistakes
    return [line for line in mistakes.splitlines() if line.startswith("error")]


def test_a_port_in_use(bound: socket.socket) -> None:
    bound.listen()
    port = bound.getsockname()[1]
    environment = {name: text for name, text in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    environment |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "DESCENT_TIMEOUT": "2",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(ROOT / "cli.py"), *DDP, "--trainer.devices=2"]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (line,) = errors(started)
    assert line.startswith(
        f"error: port {port} on this machine is in use, by another run or by a process left from one"
    )


def test_a_first_process_that_is_not_running(bound: socket.socket) -> None:
    port = bound.getsockname()[1]
    (line,) = errors(on_a_node([], port, rank=1, seconds=2))
    assert line.startswith(f"error (rank 1): the first process does not answer at 127.0.0.1, port {port}, within 2 s")


def test_a_batch_that_does_not_divide() -> None:
    words = [*DDP, "--trainer.devices=2", "--data.batch_size=1400"]
    lines = [line for process in ranks(words, free_port()) for line in errors(process)]
    said = (
        r"batch_size 1400 is larger than the training data, \d+ images for each of 2 processes: set it to at most \d+"
    )
    assert [line for line in lines if re.search(said, line)], lines


def test_ranks_with_different_configs() -> None:
    port = free_port()
    processes = [
        on_a_node([f"--model.optimizer.lr={rate}"], port, rank, seconds=PATIENCE)
        for rank, rate in enumerate((0.001, 0.002))
    ]
    lines = [line for process in processes for line in errors(process)]
    said = r"The processes do not run the same: .*lr is 0\.001 on rank 0, 0\.002 on rank 1.*Start all of them with the same"
    assert [line for line in lines if re.search(said, line)], lines
