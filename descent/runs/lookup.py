"""Find the run and the experiment that a command's config refers to."""

import re
from pathlib import Path

from jsonargparse import Namespace

from callbacks.checkpointing.reading import last_valid
from callbacks.checkpointing.seal import damage
from descent.runs.folder import Run, newest_run, resolve_checkpoint, run_of
from foundation.errors import UserError
from foundation.processes import say


def config_files(config: Namespace) -> list[Path]:
    """List the files given with `-c`."""
    return [Path(str(path)) for path in config.get("config") or [] if path is not None]


def config_run(config: Namespace) -> Run | None:
    """Return the run whose saved config is given with `-c`, if any."""
    files = config_files(config)
    return run_of(files[-1]) if files else None


def newest_run_of(config: Namespace) -> Run | None:
    """Return the experiment's newest run that can be resumed; print a line if there is none."""
    folder = Path(config.trainer.default_root_dir or ".") / (config.experiment or experiment_of(config, None))
    run = newest_run(folder) if folder.is_dir() else None
    if run is None or last_valid(run.folder / "checkpoints")[0] is None:
        say(f"--ckpt_path last: {folder} has no checkpoint to resume from, so this run starts at step 0.")
        return None
    return run


def resolve_weights(config: Namespace) -> None:
    """Replace a folder in `model.weights` by its best checkpoint; check a checkpoint's bytes.

    Raises:
        UserError: The checkpoint is damaged.
        FileNotFoundError: The folder has no run with checkpoints.
    """
    text = starting_weights(config)
    if text is None or config.get("ckpt_path"):
        return
    path = Path(text).expanduser()
    if path.is_dir():
        path = resolve_checkpoint(str(path), "best", None, "--model.weights")
    if path.suffix == ".ckpt" and path.is_file() and (wrong := damage(path)):
        raise UserError(f"--model.weights {path}: the checkpoint is damaged: {wrong}.")
    config.model.init_args.weights = str(path.absolute() if path.exists() else path)


FOLDER_NAMES = re.compile(r"(.*_)?(root|dir|folder|path|file)")
"""Arguments of data modules that hold a path."""


def resolve_data_folders(config: Namespace) -> None:
    """Make the paths of the data absolute, so that the saved config works from any folder.

    A text counts as a path if the argument's name says so and it exists here; `root` may be made by a download.
    """
    arguments = config.get("data", Namespace()).get("init_args") or Namespace()
    for name, value in vars(arguments).items():
        if not isinstance(value, str) or not value or "://" in value or FOLDER_NAMES.fullmatch(name) is None:
            continue
        path = Path(value).expanduser()
        if name == "root" or path.exists():
            arguments[name] = str(path.absolute())


def starting_weights(config: Namespace) -> str | None:
    """Return `model.weights`, or None if it is not given or the module has no such argument."""
    arguments = config.get("model", Namespace()).get("init_args") or Namespace()
    return arguments.get("weights") or None


def experiment_of(config: Namespace, saved: Run | None) -> str:
    """Return the experiment's name: that of the run whose saved config is given, else that of the config file."""
    if saved is not None:
        return saved.experiment
    files = config_files(config)
    return files[0].stem if files else "default"


def flat(config: Namespace) -> dict[str, str]:
    """Return a config as text by dotted key, without file locations, which may differ between a run's processes."""
    pairs = config.clone().as_flat()
    return {key: str(value) for key, value in vars(pairs).items() if key not in ("config", "trainer.default_root_dir")}
