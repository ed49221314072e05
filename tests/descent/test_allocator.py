"""The allocator is tuned in a process and its children; a variable turns it off; without glibc nothing is done."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import cli
from descent.allocator import FOR_CHILDREN, SWITCH, tune_allocator

ROOT = Path(__file__).parents[2]

# A block of 64 MB is allocated, written and freed twice. If freed memory is kept, its 16,384 pages are faulted in once.
FAULTS = """
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def touch():
    block = libc.malloc(64 * 2**20)
    ctypes.memset(block, 1, 64 * 2**20)
    libc.free(block)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    touch()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
SPAWNING = (
    FAULTS
    + """
def again(queue):
    touch()
    queue.put(faults())
if __name__ == "__main__":
    import multiprocessing, os, subprocess, sys
    from descent.allocator import tune_allocator
    tune_allocator()
    touch()
    found = {"self": faults()}
    for way in ("spawn", "fork"):
        context = multiprocessing.get_context(way)
        queue = context.Queue()
        process = context.Process(target=again, args=(queue,))
        process.start()
        found[way] = queue.get()
        process.join()
    command = "import runpy; part = runpy.run_path(sys.argv[1]); part['touch'](); print(part['faults']())"
    output = subprocess.run([sys.executable, "-c", "import sys;" + command, __file__], capture_output=True, text=True)
    found["command"] = int(output.stdout)
    print(found)
"""
)
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="there is no glibc")


@pytest.fixture(autouse=True)
def _untuned_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SWITCH, *FOR_CHILDREN):
        monkeypatch.delenv(name, raising=False)


def faults_of(file: Path, **environment: str) -> dict[str, int]:
    """Return the page faults of the second 64 MB by kind of process."""
    file.write_text(SPAWNING)
    plain = {name: value for name, value in os.environ.items() if name not in FOR_CHILDREN}
    done = subprocess.run(
        [sys.executable, str(file)],
        env=plain | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, int] = eval(done.stdout)
    return found


@glibc
def test_freed_memory_is_kept_in_every_kind_of_process(tmp_path: Path) -> None:
    found = faults_of(tmp_path / "spawning.py")
    assert set(found) == {"self", "spawn", "fork", "command"}
    assert max(found.values()) < 1000, found


@glibc
def test_the_variable_turns_it_off(tmp_path: Path) -> None:
    found = faults_of(tmp_path / "spawning.py", **{SWITCH: "system"})
    assert min(found.values()) > 16_000, found


def test_turned_off_it_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "system")
    assert tune_allocator() is False
    assert not FOR_CHILDREN.keys() & os.environ.keys()


def test_a_wrong_value_of_the_variable_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    with pytest.raises(ValueError, match=r"DESCENT_ALLOCATOR must be tuned or system, got 'off'\."):
        tune_allocator()
    with pytest.raises(SystemExit) as ended:
        cli.main(["fit", "-c", "configs/quickstart.yaml"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: DESCENT_ALLOCATOR must be tuned or system, got 'off'.\n"


@pytest.mark.parametrize("missing", [OSError("libc.so.6: cannot open shared object file"), AttributeError("mallopt")])
def test_nothing_is_done_without_glibc(missing: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def __init__(self, name: str) -> None:
            if isinstance(missing, OSError):
                raise missing

        def __getattr__(self, name: str) -> None:
            raise missing

    monkeypatch.setattr(ctypes, "CDLL", Absent)
    assert tune_allocator() is False
    assert not FOR_CHILDREN.keys() & os.environ.keys()


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert tune_allocator() is False
    assert not FOR_CHILDREN.keys() & os.environ.keys()


def test_the_users_settings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    tune_allocator()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
    for name in FOR_CHILDREN.keys() - {"THP_MEM_ALLOC_ENABLE"}:
        monkeypatch.delenv(name, raising=False)


TRAINING = """
import sys
from descent.allocator import tune_allocator
print(tune_allocator())
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 24, 3), torch.nn.BatchNorm2d(24), torch.nn.GELU(), torch.nn.Conv2d(24, 4, 3))
optimizer = torch.optim.AdamW(net.parameters())
for _ in range(2):  # activations of 42 MB, which glibc returns at once
    loss = net(torch.randn(128, 3, 60, 60)).square().mean()
    loss.backward()
    optimizer.step()
torch.save(net.state_dict(), sys.argv[1])
"""


@glibc
def test_the_same_weights_with_and_without(tmp_path: Path) -> None:
    """The results are identical bit by bit."""
    weights = []
    for choice, done in (("tuned", "True"), ("system", "False")):
        file = tmp_path / f"{choice}.pt"
        environment = os.environ | {"PYTHONPATH": str(ROOT), SWITCH: choice, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", TRAINING, str(file)]
        ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=240)
        assert ended.stdout.strip() == done
        weights.append(torch.load(file, weights_only=True))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
