"""A run's folder `<root>/<experiment>/<n>/`: its number, which never collides, and its checkpoints."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from foundation.errors import UserError
from foundation.processes import rank_of_process, say

RUN_VARIABLE = "DESCENT_RUN_FOLDER"  # passes the folder to the processes that Lightning starts
CHECKPOINTS = "checkpoints"
CONFIG = "config.yaml"


@dataclass(frozen=True)
class Run:
    """A run's folder.

    Args:
        folder: Its path.
        made: Folders above it that were made for it, the innermost first.
    """

    folder: Path
    made: tuple[Path, ...] = field(default=(), compare=False)

    @property
    def root(self) -> Path:
        """The folder of all experiments."""
        return self.folder.parent.parent

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.folder.parent.name

    @property
    def config(self) -> Path:
        """The path of the run's config."""
        return self.folder / CONFIG

    def discard_if_unused(self) -> None:
        """Delete the folder if it holds neither metrics nor checkpoints: the run ended before its first step."""
        files = list(self.folder.rglob("*"))
        if all(file.name == CONFIG or file.name.startswith("events.out.tfevents") for file in files):
            for file in files:
                file.unlink()
            self.folder.rmdir()
            for above in self.made:
                if any(above.iterdir()):
                    break
                above.rmdir()

    def checkpoint(self, name: str) -> Path:
        """Return the path of a checkpoint, `best` or `last`."""
        return self.folder / CHECKPOINTS / f"{name}.ckpt"


def numbers(experiment: Path) -> list[int]:
    """List the numbers of an experiment's runs, ascending."""
    if not experiment.is_dir():
        return []
    return sorted(int(entry.name) for entry in os.scandir(experiment) if entry.name.isdigit() and entry.is_dir())


def claim(root: Path, experiment: str) -> Run:
    """Create the next numbered folder; runs that start at the same time get different ones.

    Raises:
        UserError: The name leads out of the root, or the folder cannot be created.
    """
    rank = rank_of_process()
    if rank > 0:  # the first process claims and writes; the others only need a path
        inherited = os.environ.get(RUN_VARIABLE)
        return Run(Path(inherited) if inherited else root / experiment / f".rank{rank}")
    _check_name(experiment)
    parent = root / experiment
    try:
        made = tuple(folder for folder in (parent, *parent.parents) if not folder.exists())
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"trainer.default_root_dir: {parent} cannot be made: {error.strerror}.") from error
    number = (numbers(parent) or [-1])[-1] + 1
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        os.environ[RUN_VARIABLE] = str(folder.absolute())
        return Run(folder, made)


def _check_name(experiment: str) -> None:
    """Check that an experiment's folder lies inside the root.

    Raises:
        UserError: It is empty, absolute, leads upwards, or has characters that cannot be printed.
    """
    inside = experiment.strip() and not Path(experiment).is_absolute() and ".." not in Path(experiment).parts
    if not inside or not experiment.isprintable():
        raise UserError(f"experiment must be the name of a folder inside the root, got {experiment!r}.")


def run_of(path: Path) -> Run | None:
    """Return the run that a checkpoint or a saved config belongs to, if it lies in a run's folder."""
    path = path.absolute()
    if path.name == CONFIG and (path.parent / CHECKPOINTS).is_dir() and is_of_run(path):
        return Run(path.parent)
    if path.parent.name == CHECKPOINTS and is_of_run(path.parent.parent / CONFIG):
        return Run(path.parent.parent)
    return None


def is_of_run(config: Path) -> bool:
    """Return whether a `config.yaml` is a run's, which a resume replaces, and not one that the user wrote.

    A run's folder has a number, and its config begins with a comment that `LightningCLI` writes.
    """
    if not config.is_file():
        return False
    with config.open(encoding="utf-8", errors="replace") as file:
        return config.parent.name.isdigit() or file.readline().startswith("# lightning.pytorch==")


def newest_run(folder: Path) -> Run | None:
    """Return `folder` itself if it is a run's, or the newest run if it is an experiment's."""
    if (folder / CHECKPOINTS).is_dir():
        return Run(folder)
    for number in reversed(numbers(folder)):
        if (folder / str(number) / CHECKPOINTS).is_dir():
            return Run(folder / str(number))
    return None


def resolve_checkpoint(text: str, name: str, config_run: Run | None, option: str = "--ckpt_path") -> Path:
    """Find the checkpoint file that `--ckpt_path` refers to.

    Args:
        text: A file; a run's folder; an experiment's folder (its newest run); or `best` or `last` for the run whose
            config is given.
        name: Which checkpoint of a folder: `best` or `last`.
        config_run: The run whose `config.yaml` is given with `-c`, if any.
        option: The option that `text` was given to, for messages.

    Raises:
        UserError: `best` or `last` without a run's config.
        FileNotFoundError: The file does not exist; the message lists the checkpoints beside it.
    """
    if text in ("best", "last"):
        if config_run is None:
            raise UserError(
                f"--ckpt_path {text} needs a run: give its config, -c RUN/config.yaml, or the folder, --ckpt_path RUN."
            )
        return _of_run(config_run, text, option)
    path = Path(text).expanduser()
    if path.suffix in (".yaml", ".yml") and path.is_file():
        raise UserError(f"{option} {text} is a config, not a checkpoint: a config is given as -c {text}.")
    if path.is_dir():
        run = newest_run(path.parent if path.name == CHECKPOINTS else path)
        if run is None:
            raise FileNotFoundError(f"{option} {text}: no run with checkpoints in this folder.")
        return _of_run(run, name if run.checkpoint(name).exists() else "last", option)
    return existing(path, option)


def _of_run(run: Run, name: str, option: str) -> Path:
    """Return a run's checkpoint; for `last` the newest undamaged one, with a message if one is skipped."""
    if name != "last":
        return existing(run.checkpoint(name), option)
    from callbacks.checkpointing.reading import last_valid  # imports torch, which takes long

    found, remark = last_valid(run.folder / CHECKPOINTS)
    if remark:
        say(remark)
    return existing(run.checkpoint("last"), option) if found is None else found


def existing(path: Path, option: str) -> Path:
    """Return `path` if it is a file, else raise an error that lists the checkpoints beside it and names the option."""
    if path.is_file():
        return path
    beside = sorted(file.name for file in path.parent.glob("*.ckpt")) if path.parent.is_dir() else []
    found = f"in {path.parent} there is {', '.join(beside[:5])}" if beside else f"{path.parent} holds no checkpoint"
    raise FileNotFoundError(f"checkpoint not found: {path}; {found} ({option}).")
