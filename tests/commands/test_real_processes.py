"""The real command, where processes cannot meet: one line, exit code 2, nobody left."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.commands.helpers import SHORT

ROOT = Path(__file__).parents[2]
PATIENCE = 240  # seconds, on a machine that does much else


def fit(words: list[str], port: int, **more: str) -> list[str]:
    """The errors that `descent fit` says, which ends with exit code 2 and leaves nobody who holds its output."""
    environment = {name: text for name, text in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    environment |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "DESCENT_TIMEOUT": "2",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *SHORT, "--trainer.strategy=ddp", *words],
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("error")]


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lines = fit(["--trainer.devices=2"], port)
    assert len(lines) == 1
    assert lines[0].startswith(f"error: port {port} on this machine is in use: another run, or what is left of one")


def test_a_first_process_that_is_not_there() -> None:
    with socket.socket() as closed:  # bound, so that nobody else takes it, and deaf
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        lines = fit(["--trainer.devices=1", "--trainer.num_nodes=2"], port, NODE_RANK="1")
    assert len(lines) == 1
    assert f"the first process does not answer at 127.0.0.1, port {port}, within 2 s" in lines[0]
