"""Two nodes, each a network namespace of its own, joined by a pair of virtual cables; `torchrun` on each."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callbacks.checkpoint_file import last_valid, step_of

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]
STEPS, EPOCHS = 4, 6
JOIN = 60  # seconds that torchrun waits for the other node
WAIT = 300  # seconds for what should take ten, on a machine that does much else
MINE = """
import os, signal, time
from pathlib import Path
from lightning.pytorch import Callback

class Stage(Callback):
    '''Tells the test where the run is; a worker kills itself where it is told to.'''
    def on_train_epoch_start(self, trainer, module):
        Path(f"epoch{trainer.current_epoch}.rank{trainer.global_rank}").touch()
        if trainer.current_epoch == 2 and trainer.global_rank == 1 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if trainer.current_epoch == 4 and Path("hold").exists():
            while trainer.global_rank == 0 and not Path("gone").exists():
                time.sleep(0.1)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def nodes() -> Iterator[tuple[str, str]]:
    """Names of two namespaces, 10.77.0.1 and 10.77.0.2, with a cable between them."""
    names = (f"descent{os.getpid()}a", f"descent{os.getpid()}b")
    cables = (f"dv{os.getpid()}a", f"dv{os.getpid()}b")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for number, (name, cable) in enumerate(zip(names, cables, strict=True), start=1):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def torchrun(nodes: tuple[str, str], number: int, restarts: int, cable: str) -> subprocess.Popen[str]:
    """`torchrun` with one process, in a namespace."""
    words = [
        "ip", "netns", "exec", nodes[number], sys.executable, "-m", "torch.distributed.run",
        "--nnodes=2", "--nproc-per-node=1", f"--max-restarts={restarts}", "--monitor-interval=0.5",
        "--rdzv-backend=c10d", "--rdzv-endpoint=10.77.0.1:29600", "--rdzv-id=run", f"--local-addr=10.77.0.{number + 1}",
        f"--rdzv-conf=is_host={int(number == 0)},join_timeout={JOIN}", str(ROOT / "cli.py"),
        "fit", "-c", "configs/quickstart.yaml", "--ckpt_path=last", f"--trainer.max_epochs={EPOCHS}",
        f"--trainer.limit_train_batches={STEPS}", "--trainer.accelerator=cpu", "--trainer.callbacks+=mine.Stage",
        "--trainer.limit_val_batches=1",
    ]  # fmt: skip
    environment = {name: text for name, text in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    own = {"DESCENT_TIMEOUT": "20", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": cable, "NODE": str(number)}
    # A store of its own for each start: in the shared one workers look under the number of their node's restarts, which
    # differ where one agent saw its worker die and the other saw a node come back.
    own["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    with Path(f"node{number}.log").open("w") as log:
        return subprocess.Popen(
            words, env=environment | own, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )


def wait_for(what: Callable[[], bool], running: list[subprocess.Popen[str]]) -> None:
    """Look until it is so; fail early where everything has ended."""
    until = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < until, said()
        assert any(process.poll() is None for process in running) or what(), said()
        time.sleep(0.1)


def said() -> str:
    return "\n".join(f"{log}:\n{log.read_text()}" for log in sorted(Path().glob("node*.log")))


def end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_killed_worker_and_a_node_that_is_gone(
    nodes: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    Path("hold").touch()
    cables = [f"dv{os.getpid()}{letter}" for letter in "ab"]
    both = [torchrun(nodes, number, restarts=1, cable=cables[number]) for number in (0, 1)]
    checkpoints = Path("runs/quickstart/0/checkpoints")
    try:
        # Rank 1 is killed in the third epoch: torchrun starts both workers again, they go on after the second.
        wait_for(lambda: Path("epoch3.rank0").exists() and Path("epoch3.rank1").exists(), both)
        assert Path("killed").exists()
        # In the fifth epoch the cable is pulled: nobody is told, only the timeout tells.
        wait_for(lambda: Path("epoch4.rank0").exists() and Path("epoch4.rank1").exists(), both)
        ip("-n", nodes[1], "link", "set", cables[1], "down")
        os.killpg(both[1].pid, signal.SIGKILL)
        pulled = time.monotonic()
        Path("gone").touch()
        assert both[0].wait(timeout=WAIT) != 0
        assert time.monotonic() - pulled < 20 + WAIT / 2
    finally:
        end(both)
    text = Path("node0.log").read_text()
    assert re.search(
        r"error \(rank 0\): another process (did not answer within 20 s|ended, so this one ends too)", text
    ), text
    found, remark = last_valid(checkpoints)
    assert found is not None
    assert not remark
    assert step_of(found) == 4 * STEPS
    assert [folder.name for folder in Path("runs/quickstart").iterdir()] == ["0"]
    ip("-n", nodes[1], "link", "set", cables[1], "up")
    # The same command on both nodes again ends the run with the right number of steps.
    Path("hold").unlink()
    both = [torchrun(nodes, number, restarts=0, cable=cables[number]) for number in (0, 1)]
    try:
        assert [process.wait(timeout=WAIT) for process in both] == [0, 0], said()
    finally:
        end(both)
    assert step_of(checkpoints / "last.ckpt") == EPOCHS * STEPS
    assert [folder.name for folder in Path("runs/quickstart").iterdir()] == ["0"]
