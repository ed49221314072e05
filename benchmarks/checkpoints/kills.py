"""Kill `descent fit` many times, at random moments and during saves, and check that the results are always the same.

    python -m benchmarks.checkpoints.kills --kills 200

A process runs the command and gets SIGKILL; the next one resumes from the run's folder, until the run is finished. Then
the next run starts, until there were enough kills. Each finished run is compared with an uninterrupted one: every
tensor of the last checkpoint, bit by bit, and every row of metrics.csv. After each kill every checkpoint in the folder
is verified, and the newest valid one must not be older than before.
"""

import csv
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common.command_line import parser
from callbacks.checkpointing.difference import differences, meaningful
from callbacks.checkpointing.reading import last_valid, read_checkpoint
from callbacks.checkpointing.seal import damage

EPOCHS = 5
ARGUMENTS = [
    "fit",
    *("--config", "configs/quickstart.yaml", "--experiment", "killed", "--data.batch_size", "64"),
    *("--model.network.width", "4", "--data.augmentation", "datamodules.CropFlip"),
    *("--trainer.max_epochs", str(EPOCHS), "--trainer.accumulate_grad_batches", "2"),
    *("--trainer.accelerator", "cpu", "--checkpoint.every_n_train_steps", "2"),
]


@dataclass
class Tally:
    """Counts of a session, and what went wrong."""

    kills: int = 0
    within_saves: int = 0
    before_first_checkpoint: int = 0
    runs_finished: int = 0
    leftovers: int = 0
    damaged: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was damaged, lost or different."""
        return not (self.damaged or self.lost or self.different)


def descent(arguments: list[str], log: Path) -> int:
    """Start the command in a forked process, which need not import torch again; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, 1)
        os.dup2(target, 2)
        import cli

        cli.main(arguments)
        code = 0
    except SystemExit as ending:
        code = int(ending.code or 0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)


def finished(child: int, log: Path) -> bool:
    """Tell whether a process has ended by itself; an exit code other than 0 raises an error."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done and os.waitstatus_to_exitcode(status) != 0:
        said = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"descent ended with {os.waitstatus_to_exitcode(status)}:\n{said}")
    return bool(done)


@dataclass
class Moment:
    """When to kill: some seconds after the start or after the first save of the process, or during the next save."""

    seconds: float
    after_a_save: bool
    within_a_save: bool

    @classmethod
    def random(cls, chance: random.Random) -> "Moment":
        """Draw a moment: one in ten at any time from the start, setup included; half of the others during a save."""
        if chance.random() < 0.1:
            return cls(chance.uniform(0, 3), False, False)
        return cls(chance.expovariate(4), True, chance.random() < 0.5)


def kill(child: int, moment: Moment | None, folder: Path, log: Path) -> bool | None:
    """Send SIGKILL at a moment, or let the process end if there is none.

    Returns:
        Whether a file was being written; `None` if the process ended before.
    """
    start, before = time.monotonic(), _newest(folder)
    while True:
        if finished(child, log):
            return None
        if moment is not None:
            if moment.after_a_save and _newest(folder) != before:
                start, moment = time.monotonic(), replace(moment, after_a_save=False)
            due = not moment.after_a_save and time.monotonic() - start > moment.seconds
            writing = any(name.endswith(".tmp") for name in _names(folder))
            if due and (writing or not moment.within_a_save):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return writing
        time.sleep(0.0002 if moment is not None and moment.within_a_save else 0.002)


def _newest(folder: Path) -> int:
    try:
        return (folder / "last.ckpt").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


def check(folder: Path, newest_before: int, tally: Tally) -> int:
    """Verify every file after a kill; return the step of the newest valid checkpoint, −1 if there is none yet."""
    for path in folder.glob("*.ckpt"):
        if wrong := damage(path):
            tally.damaged.append(f"{path.name}: {wrong}")
    tally.leftovers += sum(name.endswith(".tmp") for name in _names(folder))
    found, remark = last_valid(folder)
    step = -1 if found is None else int(read_checkpoint(found)["global_step"])
    if step < newest_before or (remark and step >= 0 and "missing" not in remark):
        tally.lost.append(f"step {newest_before} → {step} {remark}")
    return step


def results(run: Path) -> tuple[dict[str, Any], set[tuple[str, str, str]]]:
    """Read the last checkpoint of a run, and its logged values by step and name."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = {(r["step"], name, v) for r in csv.DictReader(file) for name, v in r.items() if v and name != "step"}
    return read_checkpoint(run / "checkpoints" / "last.ckpt"), rows


def one_run(root: Path, kills_left: int, chance: random.Random, tally: Tally) -> Path:
    """Run from the start to the end with at most `kills_left` kills; return the run's folder."""
    run, before = root / "killed" / str(len(_names(root / "killed"))), -1
    while True:
        resumed = before >= 0
        arguments = (
            ["fit", "--ckpt_path", str(run)] if resumed else [*ARGUMENTS, "--trainer.default_root_dir", str(root)]
        )
        log = root.with_suffix(".log")
        child = descent(arguments, log)
        writing = kill(child, Moment.random(chance) if kills_left else None, run / "checkpoints", log)
        if writing is None:
            return run
        kills_left, tally.kills, tally.within_saves = kills_left - 1, tally.kills + 1, tally.within_saves + writing
        before = check(run / "checkpoints", before, tally)
        if before < 0:
            tally.before_first_checkpoint += 1
            run = root / "killed" / str(len(_names(root / "killed")))


def harness(kills: int, folder: Path, seed: int = 0, say: Callable[[str], None] = print) -> Tally:
    """Kill that many times, and compare each finished run with an uninterrupted one."""
    tally, chance = Tally(), random.Random(seed)
    whole, rows = results(one_run(folder / "whole", 0, chance, Tally()))
    while tally.kills < kills:
        run = one_run(folder / "root", kills - tally.kills, chance, tally)
        last, logged = results(run)
        tally.runs_finished += 1
        tally.different += meaningful(differences(whole, last))
        tally.different += [f"metrics.csv: {sorted(rows ^ logged)[:4]}"] if rows != logged else []
        say(f"{tally.kills} kills, {tally.runs_finished} runs finished, {'same' if tally.clean else 'NOT THE SAME'}")
    return tally


def main() -> None:
    """Run the session and print its counts."""
    command = parser(__doc__)
    command.add_argument("--kills", type=int, default=200, help="number of kills (default 200)")
    command.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = command.parse_args()
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        tally = harness(options.kills, Path(folder), options.seed)
    for name, value in asdict(tally).items():
        print(f"{name:<24} {value if isinstance(value, int) else len(value)}")
    print(f"{'seconds':<24} {time.monotonic() - start:.0f}")
    for line in [*tally.damaged, *tally.lost, *tally.different][:20]:
        print(f"  {line}")
    sys.exit(0 if tally.clean else 1)


if __name__ == "__main__":
    main()
