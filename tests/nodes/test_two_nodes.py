"""Two nodes, each a network namespace of its own, joined by a pair of virtual cables; `torchrun` on each."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callbacks.checkpointing.reading import last_valid, step_of
from tests.nodes.cable import Node, two_nodes

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]
STEPS, EPOCHS = 4, 6
TIMEOUT = 20  # seconds that a worker waits for the other one
JOIN = 60  # seconds that torchrun waits for the other node
WAIT = 400  # seconds for what takes ten on an idle machine
# Seconds between two checks of a node's torchrun on its worker. The first node checks less often: it then finds that its
# own worker has ended too, and counts a restart. Otherwise it would have a restart left for the second failure, and wait
# JOIN seconds for the node that is down.
MONITOR_INTERVALS = (4, 0.2)
PATIENT = "heartbeat_timeout=30,keep_alive_max_attempt=12"  # so that a slow node does not count as lost
CHECKPOINTS = Path("runs/quickstart/0/checkpoints")
# Files show the run's progress, and control it.
MINE = """
import atexit, os, signal, time
from pathlib import Path
from lightning.pytorch import Callback

def threads():
    '''Count gloo's threads that are left when the interpreter exits.'''
    return [Path(f"/proc/self/task/{number}/comm").read_text().strip() for number in os.listdir("/proc/self/task")].count(
        "pt_gloo_runloop"
    )

class Stage(Callback):
    def on_train_start(self, trainer, module):
        atexit.register(lambda rank=trainer.global_rank: Path(f"threads.rank{rank}").write_text(str(threads())))

    def on_train_epoch_start(self, trainer, module):
        Path(f"epoch{trainer.current_epoch}.rank{trainer.global_rank}").touch()
        if trainer.current_epoch == 2 and trainer.global_rank == 1 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if trainer.current_epoch == 4 and Path("hold").exists():
            while trainer.global_rank == 0 and not Path("gone").exists():
                time.sleep(0.1)
"""


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Node, Node]]:
    """Create two nodes, which share the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    with two_nodes() as both:
        yield both


def torchrun(nodes: tuple[Node, Node], start: str, restarts: int) -> list[subprocess.Popen[str]]:
    """Start `torchrun` with one process on each node; it logs to `START.node0.log` and `START.node1.log`."""
    environment = {name: text for name, text in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    environment |= {"DESCENT_TIMEOUT": str(TIMEOUT), "OMP_NUM_THREADS": "1"}
    # Each start has its own store. In the shared one, workers use the number of their node's restarts, which differs if
    # one agent saw its worker die and the other saw a node come back.
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    running = []
    for number, node in enumerate(nodes):
        words = [
            "ip", "netns", "exec", node.namespace, sys.executable, "-m", "torch.distributed.run",
            "--nnodes=2", "--nproc-per-node=1", f"--max-restarts={restarts}", f"--monitor-interval={MONITOR_INTERVALS[number]}",
            "--rdzv-backend=c10d", f"--rdzv-endpoint={nodes[0].address}:29600", f"--rdzv-id={start}",
            f"--local-addr={node.address}", f"--rdzv-conf=is_host={int(number == 0)},join_timeout={JOIN},{PATIENT}",
            str(ROOT / "cli.py"), "fit", "-c", "configs/quickstart.yaml", "--ckpt_path=last",
            f"--trainer.max_epochs={EPOCHS}", f"--trainer.limit_train_batches={STEPS}", "--trainer.accelerator=cpu",
            "--trainer.callbacks+=mine.Stage", "--trainer.limit_val_batches=1",
        ]  # fmt: skip
        own = environment | {"GLOO_SOCKET_IFNAME": node.cable}
        with Path(f"{start}.node{number}.log").open("w") as log:
            running.append(subprocess.Popen(words, env=own, stdout=log, stderr=subprocess.STDOUT, text=True))
    return running


def wait_for(condition: Callable[[], bool], running: list[subprocess.Popen[str]]) -> None:
    """Wait for a condition; fail early if a process has ended."""
    until = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < until, said()
        assert all(process.poll() is None for process in running) or condition(), said()
        time.sleep(0.1)


def in_epoch(number: int) -> bool:
    """Return whether both ranks have started that epoch."""
    return all(Path(f"epoch{number}.rank{rank}").exists() for rank in (0, 1))


def said() -> str:
    """Return the logs of both nodes."""
    return "\n".join(f"{log}:\n{log.read_text()}" for log in sorted(Path().glob("*.log")))


def test_a_killed_worker_and_a_lost_node(nodes: tuple[Node, Node]) -> None:
    Path("hold").touch()
    first, second = torchrun(nodes, "first", restarts=1)
    # Rank 1 is killed in the third epoch: torchrun starts both workers again, they resume after the second.
    wait_for(lambda: in_epoch(3), [first, second])
    assert Path("killed").exists()
    # In the fifth epoch the node loses cable and power at once: only the timeout tells the other one.
    wait_for(lambda: in_epoch(4), [first, second])
    nodes[1].switch("down")
    nodes[1].power_off()
    pulled = time.monotonic()
    Path("gone").touch()
    assert first.wait(timeout=WAIT) != 0
    assert second.wait(timeout=WAIT) != 0
    assert time.monotonic() - pulled < TIMEOUT + JOIN + 60, said()
    lost = rf"error \(rank 0\): another process (did not answer within {TIMEOUT} s|ended, so this one ends too)"
    assert re.search(lost, Path("first.node0.log").read_text()), said()
    check_checkpoint_of(4 * STEPS)
    # The same command on both nodes resumes the run, which ends with the right number of steps.
    nodes[1].switch("up")
    Path("hold").unlink()
    both = torchrun(nodes, "again", restarts=0)
    assert [process.wait(timeout=WAIT) for process in both] == [0, 0], said()
    check_checkpoint_of(EPOCHS * STEPS)
    assert [Path(f"threads.rank{rank}").read_text() for rank in (0, 1)] == ["0", "0"]


def check_checkpoint_of(step: int) -> None:
    """Check that there is one run, whose last checkpoint is undamaged and of that step."""
    assert [folder.name for folder in Path("runs/quickstart").iterdir()] == ["0"]
    found, remark = last_valid(CHECKPOINTS)
    assert found is not None
    assert not remark
    assert step_of(found) == step
