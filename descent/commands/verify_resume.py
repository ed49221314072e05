"""`descent verify-resume -c CONFIG`: kill a short run of one's own setup, resume it, compare with one left alone."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from callbacks.checkpointing.difference import differences, meaningful
from callbacks.checkpointing.reading import last_valid, read_checkpoint, step_of
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError
from foundation.files import strict_json

USAGE = """\
usage: descent verify-resume -c CONFIG [--json] [options of fit]

Trains shortly twice with your setup, once left alone and once killed (SIGKILL) in mid-epoch and
resumed, and compares weights, optimizer, schedule, metrics and the rest bit by bit, and every
logged value. Exit code 0: the same; 1: not. Two epochs of 20 batches unless you say otherwise
(--trainer.max_epochs, --trainer.limit_train_batches). --json prints it for programs.
"""
SHORT = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "20", "--trainer.limit_val_batches", "2"]
SHORT += ["--trainer.log_every_n_steps", "1", "--checkpoint.every_n_train_steps", "3", "--experiment", "run"]
SAME = ["the same, bit by bit."]
AREAS = {
    "state_dict": "weights",
    "current_model_state": "weights",
    "averaging_state": "averaged weights",
    "optimizer_states": "optimizer",
    "lr_schedulers": "schedule",
    "MixedPrecision": "gradient scaler",
    "epoch_means": "sums of metrics",
    "exact_resume": "sums of metrics",
    "descent": "metrics",
    "callbacks": "callbacks",
    "loops": "progress",
    "epoch": "progress",
    "global_step": "progress",
}


def main(args: list[str]) -> None:
    """Run it.

    Args:
        args: What would stand after `descent fit`.

    Raises:
        SystemExit: With 0 or 1 as the comparison says; with 2 where a run cannot be made.
    """
    if not args or args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    with mistakes_in_one_line(), TemporaryDirectory(prefix="verify-resume-") as folder:
        words = [word for word in args if word != "--json"]
        found = verify(arguments(words), Path(folder), as_json="--json" in args)
    raise SystemExit(1 if found else 0)


def arguments(args: list[str]) -> list[str]:
    """The configs, then what makes the run short, then the rest, which wins."""
    configs: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word in ("-c", "--config"):
            configs += [word, next(words, "")]
        else:
            (configs if word.startswith("--config=") else rest).append(word)
    return [*configs, *SHORT, *rest]


def verify(words: list[str], folder: Path, as_json: bool = False) -> list[str]:
    """Make the runs, print what is the same and what is not; returns what is not."""
    whole, killed = folder / "whole" / "run" / "0", folder / "killed" / "run" / "0"
    complete(start([*words, "--trainer.default_root_dir", str(folder / "whole")]))
    step = kill_within_epoch(start([*words, "--trainer.default_root_dir", str(folder / "killed")]), killed)
    complete(start(["--ckpt_path", str(killed)]))
    first, second = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (whole, killed))
    found = meaningful(differences(first, second))
    logged = differing_rows(whole / "metrics.csv", killed / "metrics.csv")
    by_area = {
        area: logged if area == "logged values" else [line for line in found if area_of(line) == area]
        for area in dict.fromkeys([*(AREAS.get(name, f"data ({name})") for name in areas(first)), "logged values"])
    }
    reasons = in_the_way(first, whole) if found or logged else []
    if as_json:
        about = {"same": not (found or logged), "killed_after": step, "steps": first["global_step"]}
        print(strict_json(about | {"differences": by_area, "in_the_way": reasons}))
    else:
        print(f"killed after step {step} of {first['global_step']} and resumed there; compared with a run left alone:")
        for area, lines in by_area.items():
            print(f"  {area:<24} {'the same' if not lines else f'{len(lines)} differ: {lines[0][:110]}'}")
        print("\n".join(["not the same.", *(f"  in the way: {reason}" for reason in reasons)] if reasons else SAME))
    return [*found, *logged]


def start(words: list[str]) -> "subprocess.Popen[str]":
    """`descent fit` as a process."""
    command = [sys.executable, "-m", "cli", "fit", *words]
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def complete(process: "subprocess.Popen[str]") -> None:
    """Wait; a run that fails says why."""
    _, errors = process.communicate()
    if process.returncode != 0:
        reason = [line.strip().removeprefix("error: ") for line in errors.splitlines() if line.strip()]
        raise UserError(f"the run failed: {reason[-1] if reason else process.returncode}")


def kill_within_epoch(process: "subprocess.Popen[str]", run: Path) -> int:
    """SIGKILL as soon as there are two checkpoints; returns the step of the newest."""
    while process.poll() is None:
        if (run / "checkpoints" / "previous.ckpt").exists():
            process.kill()
            break
        time.sleep(0.002)
    _, errors = process.communicate()
    newest, _ = last_valid(run / "checkpoints")
    if newest is None:
        raise UserError(f"the run that is to be killed left no checkpoint. {errors.strip()[-200:]}")
    return step_of(newest)


def differing_rows(first: Path, second: Path) -> list[str]:
    """Values that two logs do not share, by step and name."""
    if not (first.is_file() and second.is_file()):
        return []  # a logger of one's own
    tables = []
    for path in (first, second):
        with path.open(newline="") as file:
            tables.append({(r["step"], name): v for r in csv.DictReader(file) for name, v in r.items() if v})
    keys = sorted(tables[0].keys() | tables[1].keys(), key=lambda key: (int(key[0] or 0), key[1]))
    pairs = [(key, tables[0].get(key), tables[1].get(key)) for key in keys]
    return [f"step {step} {name}: {one}, {other}" for (step, name), one, other in pairs if one != other]


def areas(checkpoint: dict[str, Any]) -> list[str]:
    """The entries of a checkpoint that hold state."""
    return [name for name, value in checkpoint.items() if name in AREAS or (isinstance(value, dict) and value)]


def area_of(line: str) -> str:
    """What a difference is about."""
    name = line.partition(".")[0].partition(":")[0]
    return AREAS.get(name, f"data ({name})")


def in_the_way(checkpoint: dict[str, Any], run: Path) -> list[str]:
    """Settings that are known to keep a resume from being exact."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) if (run / "config.yaml").exists() else {}
    trainer = config.get("trainer") or {}
    cuda = checkpoint.get("descent", {}).get("device", "cpu") not in ("cpu", "mps")
    reasons = {
        "the data module saves no position in the epoch (state_dict, load_state_dict)": not any(
            isinstance(value, dict) and "position" in value for value in checkpoint.values()
        ),
        "seed_everything is false: the seed is another one in each process": config.get("seed_everything") is False,
        "trainer.deterministic is not set, and CUDA's kernels may add in any order": cuda
        and not trainer.get("deterministic"),
        "trainer.benchmark is true: cuDNN may choose other kernels": bool(trainer.get("benchmark")),
        "trainer.max_time ends a run by the clock": bool(trainer.get("max_time")),
        "trainer.reload_dataloaders_every_n_epochs makes loaders anew": bool(
            trainer.get("reload_dataloaders_every_n_epochs")
        ),
    }
    named = [reason for reason, holds in reasons.items() if holds]
    return named or ["no setting known to; look for random numbers or state of your own that is not in a state_dict"]
