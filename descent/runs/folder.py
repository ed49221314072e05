"""A run's folder `<root>/<experiment>/<n>/`: numbers that never collide, and the checkpoints in it."""

import os
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UserError
from foundation.processes import rank_of_process, say

RUN_VARIABLE = "DESCENT_RUN_FOLDER"  # tells the processes that Lightning starts which folder their parent claimed
CHECKPOINTS = "checkpoints"
CONFIG = "config.yaml"


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    @property
    def root(self) -> Path:
        """Where all experiments lie."""
        return self.folder.parent.parent

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.folder.parent.name

    @property
    def config(self) -> Path:
        """The config that the run was made with."""
        return self.folder / CONFIG

    def discard_if_unused(self) -> None:
        """Take the folder away again if nothing was measured or saved in it: the run ended before it began."""
        files = list(self.folder.rglob("*"))
        if all(file.name == CONFIG or file.name.startswith("events.out.tfevents") for file in files):
            for file in files:
                file.unlink()
            self.folder.rmdir()

    def checkpoint(self, name: str) -> Path:
        """`best` or `last`."""
        return self.folder / CHECKPOINTS / f"{name}.ckpt"


def numbers(experiment: Path) -> list[int]:
    """Numbers of the runs of an experiment, ascending."""
    if not experiment.is_dir():
        return []
    return sorted(int(entry.name) for entry in os.scandir(experiment) if entry.name.isdigit() and entry.is_dir())


def claim(root: Path, experiment: str) -> Run:
    """Make the next numbered folder; processes that start at the same time get different ones.

    Raises:
        OSError: The folder cannot be made.
    """
    rank = rank_of_process()
    if rank > 0:  # the first process claims; the others ask it for what they need, and write nothing
        inherited = os.environ.get(RUN_VARIABLE)
        return Run(Path(inherited) if inherited else root / experiment / f".rank{rank}")
    parent = root / experiment
    parent.mkdir(parents=True, exist_ok=True)
    number = (numbers(parent) or [-1])[-1] + 1
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        os.environ[RUN_VARIABLE] = str(folder.absolute())
        return Run(folder)


def run_of(path: Path) -> Run | None:
    """The run that a checkpoint or a saved config belongs to, if it lies in one."""
    path = path.absolute()
    if path.name == CONFIG and (path.parent / CHECKPOINTS).is_dir():
        return Run(path.parent)
    if path.parent.name == CHECKPOINTS and (path.parent.parent / CONFIG).is_file():
        return Run(path.parent.parent)
    return None


def newest_run(folder: Path) -> Run | None:
    """`folder` itself if it is a run, else its newest run if it is an experiment."""
    if (folder / CHECKPOINTS).is_dir():
        return Run(folder)
    for number in reversed(numbers(folder)):
        if (folder / str(number) / CHECKPOINTS).is_dir():
            return Run(folder / str(number))
    return None


def resolve_checkpoint(text: str, name: str, config_run: Run | None) -> Path:
    """The checkpoint file that `--ckpt_path` means.

    Args:
        text: A file; a run's folder; an experiment's folder (its newest run); or `best` or `last` of the run whose
            config is given.
        name: Which checkpoint of a folder: `best` or `last`.
        config_run: The run whose `config.yaml` is given with `-c`, if any.

    Raises:
        UserError: `best` or `last` without a run's config.
        FileNotFoundError: It does not exist; the message says what is there.
    """
    if text in ("best", "last"):
        if config_run is None:
            raise UserError(
                f"--ckpt_path {text} needs a run: give its config, -c RUN/config.yaml, or the folder, --ckpt_path RUN."
            )
        return _of_run(config_run, text)
    path = Path(text)
    if path.is_dir():
        run = newest_run(path)
        if run is None:
            raise FileNotFoundError(f"--ckpt_path {text}: no run with checkpoints in this folder.")
        return _of_run(run, name if run.checkpoint(name).exists() else "last")
    return existing(path)


def _of_run(run: Run, name: str) -> Path:
    """`last` is the newest one that is whole: a damaged one is passed over, and said so."""
    if name != "last":
        return existing(run.checkpoint(name))
    from callbacks.checkpointing.reading import last_valid  # torch takes long to import

    found, remark = last_valid(run.folder / CHECKPOINTS)
    if remark:
        say(remark)
    return existing(run.checkpoint("last")) if found is None else found


def existing(path: Path) -> Path:
    """`path`, which is a file; or an error that says what is beside it."""
    if path.is_file():
        return path
    beside = sorted(file.name for file in path.parent.glob("*.ckpt")) if path.parent.is_dir() else []
    found = f"in {path.parent} there is {', '.join(beside[:5])}" if beside else f"{path.parent} holds no checkpoint"
    raise FileNotFoundError(f"checkpoint not found: {path}; {found}.")
