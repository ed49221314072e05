"""Find the run and the experiment that a command's config refers to."""

from pathlib import Path

from jsonargparse import Namespace

from callbacks.checkpointing.reading import last_valid
from descent.runs.folder import Run, newest_run, run_of
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
