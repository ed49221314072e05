"""`descent verify-resume`: check that a killed and resumed run gives the same results as an uninterrupted one."""

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from descent.commands.parser import CommandParser, print_json
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError
from foundation.processes import ProgressLines
from foundation.terminal.folding import fitted

USAGE = """\
usage: descent verify-resume -c CONFIG [--json] [options of fit]

Trains shortly twice with your setup: once without interruption, and once killed (SIGKILL) within
an epoch and resumed. Compares weights, optimizer, schedule, metrics and all other state bit by bit,
and every logged value. Exit code 0: the same; 1: not.

  -c CONFIG             the config, as for descent fit
  --json                print the result as JSON, for programs
  --KEY VALUE           a key of the config; the runs have two epochs of 20 batches unless you set
                        --trainer.max_epochs or --trainer.limit_train_batches
"""
SHORT = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "20", "--trainer.limit_val_batches", "2"]
SHORT += ["--trainer.log_every_n_steps", "1", "--checkpoint.every_n_train_steps", "3", "--experiment", "run"]
TRIES = 3
"""So often a run is killed if that came between two epochs, as it may on a busy machine."""
LOGGED = "logged values"
AREAS = {
    "state_dict": "weights",
    "current_model_state": "weights",
    "averaging_state": "averaged weights",
    "accumulation": "accumulated gradients",
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
    """Train, kill, resume and compare; `args` are the words after `descent verify-resume`.

    Raises:
        SystemExit: With 0 if the runs are the same, else with 1.
    """
    options, words = parse(args)
    with mistakes_in_one_line("stopped."):
        same = _verify(options, words)
    raise SystemExit(0 if same else 1)


def parse(args: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options and the arguments for `fit`: the configs, then those for a short run, then the user's."""
    parser = CommandParser("verify-resume", USAGE)
    parser.add_argument("-c", "--config", action="append", default=[])
    parser.add_json()
    options, overrides = parser.parse_with_overrides(args)
    return options, [*(f"--config={config}" for config in options.config), *SHORT, *overrides]


def _verify(options: argparse.Namespace, words: list[str]) -> bool:
    from callbacks.checkpointing.difference import differences, meaningful
    from callbacks.checkpointing.reading import last_valid, read_checkpoint, step_of

    progress = ProgressLines("verify-resume")
    with TemporaryDirectory(prefix="verify-resume-") as folder:
        whole, killed = (Path(folder, name, "run", "0") for name in ("whole", "killed"))
        progress.start("1 of 3, a run without interruption")
        finish(start([*words, "--trainer.default_root_dir", str(whole.parents[1])]))
        first = read_checkpoint(whole / "checkpoints" / "last.ckpt")
        each = max(first["global_step"] // (first["epoch"] + 1), 1)  # steps of an epoch
        for _ in range(TRIES):
            progress.start("2 of 3, the same run, killed")
            rmtree(killed, ignore_errors=True)
            errors = kill_within_epoch(start([*words, "--trainer.default_root_dir", str(killed.parents[1])]), killed)
            newest, _ = last_valid(killed / "checkpoints")
            if newest is None:
                raise UserError(f"the run that was to be killed left no checkpoint. {errors.strip()[-200:]}")
            if (step := step_of(newest)) % each:
                break  # a resume between two epochs would need no position in the data
        progress.start(f"3 of 3, resumed at step {step}")
        finish(start(["--ckpt_path", str(killed)]))
        second = read_checkpoint(killed / "checkpoints" / "last.ckpt")
        logged = differing_rows(whole / "metrics.csv", killed / "metrics.csv")
        found = by_area(first, meaningful(differences(first, second)), logged)
        causes = possible_causes(first, whole) if any(found.values()) else []
    if options.json:
        about = {"same": not any(found.values()), "killed_after": step, "steps": first["global_step"]}
        print_json(about | {"differences": found, "in_the_way": causes})
    else:
        print(fitted("\n".join(report(step, first["global_step"], found, causes))))
    return not any(found.values())


def report(step: int, steps: int, found: Mapping[str, Sequence[str]], causes: Sequence[str]) -> list[str]:
    """Return the lines that say what is the same and what is not.

    Args:
        step: After this optimizer step the run was killed.
        steps: Steps of the run.
        found: Differences by area.
        causes: Possible ones.
    """
    areas = {
        area: "the same" if not lines else f"{len(lines)} differ: {lines[0][:110]}" for area, lines in found.items()
    }
    return [
        f"killed after step {step} of {steps} and resumed; compared with an uninterrupted run:",
        *(f"  {area:<24} {said}" for area, said in areas.items()),
        "not the same." if any(found.values()) else "the same, bit by bit.",
        *(f"  possible cause: {cause}" for cause in causes),
    ]


def start(words: list[str]) -> "subprocess.Popen[str]":
    """Start `descent fit` as a process."""
    command = [sys.executable, "-m", "cli", "fit", *words]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> None:
    """Wait for a run.

    Raises:
        UserError: The run failed; the message has its last error.
    """
    _, errors = process.communicate()
    if process.returncode != 0:
        reason = [line.strip().removeprefix("error: ") for line in errors.splitlines() if line.strip()]
        raise UserError(f"the run failed: {reason[-1] if reason else process.returncode}")


def kill_within_epoch(process: "subprocess.Popen[str]", folder: Path) -> str:
    """Send SIGKILL as soon as the run has two checkpoints; return what it wrote to standard error."""
    while process.poll() is None:
        if (folder / "checkpoints" / "previous.ckpt").exists():
            process.kill()
            break
        time.sleep(0.002)
    return process.communicate()[1]


def differing_rows(first: Path, second: Path) -> list[str]:
    """Return the values in which two logs differ, by step and name."""
    if not (first.is_file() and second.is_file()):
        return []  # the user's own logger writes no metrics.csv
    tables = []
    for path in (first, second):
        with path.open(newline="") as file:
            tables.append({(r["step"], name): v for r in csv.DictReader(file) for name, v in r.items() if v})
    keys = sorted(tables[0].keys() | tables[1].keys(), key=lambda key: (int(key[0] or 0), key[1]))
    pairs = [(key, tables[0].get(key), tables[1].get(key)) for key in keys]
    return [f"step {step} {name}: {one}, {other}" for (step, name), one, other in pairs if one != other]


def by_area(checkpoint: Mapping[str, Any], found: list[str], logged: list[str]) -> dict[str, list[str]]:
    """Sort differences by what they concern; areas without a difference are there too."""
    state = [name for name, value in checkpoint.items() if name in AREAS or (isinstance(value, dict) and value)]
    areas: dict[str, list[str]] = {_area(name): [] for name in state}
    for line in found:
        areas.setdefault(_area(line.partition(".")[0].partition(":")[0]), []).append(line)
    return areas | {LOGGED: logged}


def _area(entry: str) -> str:
    return AREAS.get(entry, f"data ({entry})")


def possible_causes(checkpoint: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the settings that are known to prevent an exact resume."""
    import yaml

    file = folder / "config.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    trainer = config.get("trainer") or {}
    cuda = checkpoint.get("descent", {}).get("device", "cpu") not in ("cpu", "mps")
    reasons = {
        "the data module saves no position in the epoch (state_dict, load_state_dict)": not any(
            isinstance(value, dict) and "position" in value for value in checkpoint.values()
        ),
        "seed_everything is false: each process has another seed": config.get("seed_everything") is False,
        "trainer.deterministic is not set, and CUDA kernels may add in any order": cuda
        and not trainer.get("deterministic"),
        "trainer.benchmark is true: cuDNN may choose other kernels": trainer.get("benchmark"),
        "trainer.max_time ends a run by the clock": trainer.get("max_time"),
        "trainer.reload_dataloaders_every_n_epochs creates the data loaders again": trainer.get(
            "reload_dataloaders_every_n_epochs"
        ),
    }
    named = [reason for reason, holds in reasons.items() if holds]
    return named or ["none is known; look for random numbers or state of your own that is not in a state_dict"]
