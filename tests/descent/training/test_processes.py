"""`--trainer.devices 2` as a user types it, and what is said when processes cannot find or have lost each other."""

import os
import pickle
import re
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import Namespace

from callbacks.checkpointing.reading import last_valid
from callbacks.distributed.rank_guard import RankGuard
from callbacks.learning_rate.scaling import ScaledRate
from descent import presets
from descent.runs.folder import claim
from descent.training.connection_errors import explain_loss
from descent.training.parser import Parser
from descent.training.processes import count_of, use_fast_kernels, use_present_devices, with_launched_processes
from descent.training.trainer import Trainer
from foundation.errors import UserError
from foundation.hardware import usable_cores
from foundation.processes import rank_of_process
from tests.descent.helpers import SHORT, refused

ROOT = Path(__file__).parents[3]

MINE = """
from lightning.pytorch import Callback
from lightning_modules.distributed.gathered_batch_norm import GatheredBatchNorm

class Fails(Callback):
    def on_train_start(self, trainer, module):
        synced = sum(isinstance(layer, GatheredBatchNorm) for layer in module.modules())
        if trainer.is_global_zero:
            print(f"{synced} layers use the batches of all processes")

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 1 and trainer.global_rank == 1:
            raise ValueError("the disk of rank 1 is full")
"""


def test_two_processes_until_one_fails(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    words = [
        "--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.sync_batchnorm=true",
        "--trainer.callbacks+=mine.Fails", "--data.batch_size=32",
    ]  # fmt: skip
    environment = {name: text for name, text in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *SHORT, *words],
        env=environment | {"DESCENT_TIMEOUT": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said
    # every message appears once
    assert re.search(r"^[1-9] layers use the batches of all processes$", done.stdout, re.MULTILINE), said
    assert len(re.findall(r"^  1/2 ", done.stdout, re.MULTILINE)) == 1, said
    assert len(re.findall(r"global batch 2 processes × 32 = 64: the learning rate is not scaled", said)) == 1, said
    # the error has its rank and cause, and all processes stop
    assert re.findall(r"^error \(rank 1\): ValueError: the disk of rank 1 is full$", done.stderr, re.MULTILINE), said
    assert re.findall(
        r"^(error \(rank 0\): another process ended, so this one ends too|rank 1 ended)", done.stderr, re.MULTILINE
    ), said
    # one folder, with a complete checkpoint
    assert [folder.name for folder in Path("runs/quickstart").iterdir()] == ["0"]
    found, remark = last_valid(Path("runs/quickstart/0/checkpoints"))
    assert found is not None
    assert not remark


def test_messages_for_real_connection_errors() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} on this machine is in use" in said_by(port, is_master=True)
    assert f"the first process does not answer at 127.0.0.1, port {port}, within 1800 s" in said_by(port)
    assert "1 of 2 processes joined within 1800 s: start the others" in said_by(0, is_master=True)


def said_by(port: int, is_master: bool = False) -> str:
    """Return our message for the error that torch's store raises."""
    with pytest.raises(RuntimeError) as ended:
        torch.distributed.TCPStore(  # type: ignore[attr-defined]
            "127.0.0.1", port, 2, is_master, timedelta(seconds=1)
        )
    return explain_loss(ended.value) or f"no rule matches: {ended.value}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("[gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:4: Connection reset by peer.", "another process ended"),
        ("[gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 8000ms for recv operation", "did not answer within"),
        ("[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=5)", "did not answer within"),
        ("NCCL error in: a.cpp: remote process exited or there was a network error", "another process ended"),
    ],
)  # fmt: skip
def test_messages_for_a_lost_process(error: str, said: str) -> None:
    assert said in (explain_loss(RuntimeError(error)) or "")
    assert explain_loss(ValueError(error)) is None


def test_devices_and_rank_come_from_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("TORCHELASTIC_RUN_ID", "a"), ("LOCAL_WORLD_SIZE", "2"), ("WORLD_SIZE", "6"), ("RANK", "4")):
        monkeypatch.setenv(name, text)
    assert with_launched_processes({"devices": "auto"}) == {"devices": 2, "num_nodes": 3}
    assert with_launched_processes({"devices": 2, "num_nodes": 3}) == {"devices": 2, "num_nodes": 3}
    message = (
        "torchrun has started 2 processes on each of 3 nodes, but the config has devices 4 and num_nodes 1: remove both"
    )
    with pytest.raises(UserError, match=message):
        with_launched_processes({"devices": 4})
    assert rank_of_process() == 4
    monkeypatch.delenv("DESCENT_RUN_FOLDER", raising=False)
    assert claim(Path("runs"), "mine").folder == Path("runs/mine/.rank4")
    assert not Path("runs").exists(), "only the first process creates folders"


@pytest.mark.parametrize(
    ("variables", "rank"),
    [
        ({}, 0),
        ({"LOCAL_RANK": "1"}, 1),
        ({"LOCAL_RANK": "0", "NODE_RANK": "2"}, 2),
        ({"SLURM_PROCID": "3"}, 0),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, 3),
    ],
)
def test_rank_of_a_process(variables: dict[str, str], rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert rank_of_process() == rank


@pytest.mark.parametrize(
    ("devices", "count"), [("auto", None), (-1, None), ("2", 2), ("0,2,3", 3), ([0, 1], 2), (3, 3), (None, None)]
)
def test_number_of_devices(devices: Any, count: int | None) -> None:
    assert count_of(devices) == count


def test_mistakes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cores = usable_cores()
    words = [*SHORT, "--trainer.devices=1000"]
    assert re.search(
        rf"devices asks for 1000 processes on the CPU, but this machine has {cores} cores", refused(words, capsys)
    )
    monkeypatch.setenv("DESCENT_TIMEOUT", "soon")
    with pytest.raises(UserError, match="DESCENT_TIMEOUT must be a number of seconds ≥ 1, got 'soon'"):
        Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False)


def test_guard_and_scaled_rate_are_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENT_TIMEOUT", "77")
    trainer: Any = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, callbacks=[ScaledRate("sqrt")])
    first, *others = trainer.callbacks
    assert isinstance(first, RankGuard)
    assert [callback.rule for callback in others if isinstance(callback, ScaledRate)] == ["sqrt"]
    assert trainer.strategy._timeout == timedelta(seconds=77)
    alone: Any = Trainer(accelerator="cpu", devices=1, logger=False)
    assert not any(isinstance(callback, RankGuard | ScaledRate) for callback in alone.callbacks)


def test_a_parser_that_is_sent_to_another_process_knows_the_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ddp_spawn` sends the callback that writes `config.yaml`, whose parser reads YAML with names of presets."""
    sent = pickle.dumps(Parser())
    registered: list[bool] = []
    monkeypatch.setattr(presets, "register", lambda: registered.append(True))
    assert pickle.loads(sent).parser_mode == "descent"
    assert registered == [True]


@pytest.mark.parametrize(
    ("present", "flags", "words", "expected", "sentence"),
    [
        (
            0,
            ("gpu", 4, "ddp"),
            [],
            ("cpu", 1, "auto"),
            "asks for gpu, and this machine has no GPU: running on the CPU.",
        ),
        (0, ("mps", "auto", "auto"), [], ("cpu", 1, "auto"), "asks for mps, and this machine has no GPU"),
        (0, ("gpu", 4, "ddp"), ["--trainer.accelerator=gpu"], ("gpu", 4, "ddp"), None),
        (0, ("auto", 4, "ddp"), [], ("auto", 4, "ddp"), None),
        (0, ("cpu", 2, "ddp"), [], ("cpu", 2, "ddp"), None),
        (2, ("gpu", 4, "ddp"), [], ("gpu", 2, "ddp"), "asks for 4, and this machine has 2: using 2."),
        (2, ("gpu", [2, 3], "ddp"), [], ("gpu", 2, "ddp"), "asks for [2, 3], and this machine has 2: using 2."),
        (1, ("cuda", "3,", "auto"), [], ("cuda", 1, "auto"), "asks for 3,, and this machine has 1: using 1."),
        (2, ("gpu", 4, "ddp"), ["--trainer.devices", "4"], ("gpu", 4, "ddp"), None),
        (4, ("gpu", "0,3", "ddp"), [], ("gpu", "0,3", "ddp"), None),
        (4, ("gpu", -1, "ddp"), [], ("gpu", -1, "ddp"), None),
    ],
)
def test_devices_of_a_run_that_this_machine_lacks(
    present: int, flags: Any, words: list[str], expected: Any, sentence: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: present)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    trainer = Namespace(**dict(zip(("accelerator", "devices", "strategy"), flags, strict=True)), num_nodes=1)
    said = use_present_devices(trainer, ["test", *words])
    assert (trainer.accelerator, trainer.devices, trainer.strategy) == expected
    assert said is None if sentence is None else sentence in (said or "")


def test_a_trainer_takes_from_the_environment_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MAX_EPOCHS": "3", "LOG_EVERY_N_STEPS": "7", "ENABLE_PROGRESS_BAR": "False"}.items():
        monkeypatch.setenv(f"PL_TRAINER_{name}", value)
    trainer: Any = Trainer(accelerator="cpu", devices=1, logger=False, log_every_n_steps=5)
    assert (trainer.max_epochs, trainer.log_every_n_steps) == (3, 5)
    assert trainer.progress_bar_callback is None


@pytest.mark.parametrize(
    ("gpus", "flags", "expected"),
    [
        (1, {}, ("high", True)),
        (1, {"benchmark": False}, ("high", False)),
        (1, {"float32_matmul_precision": "highest", "benchmark": False}, ("highest", False)),
        (1, {"deterministic": True}, (None, None)),
        (1, {"accelerator": "cpu"}, (None, None)),
        (0, {}, (None, None)),
    ],
)
def test_fast_kernels_of_a_new_run(gpus: int, flags: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    given = {"accelerator": "auto", "deterministic": None, "benchmark": None, "float32_matmul_precision": None} | flags
    trainer = Namespace(**given)
    said = use_fast_kernels(trainer)
    assert (trainer.float32_matmul_precision, trainer.benchmark) == expected
    assert (said is None) == (trainer == Namespace(**given))
    assert "high" not in (said or "") or "trainer.float32_matmul_precision: high" in str(said)
