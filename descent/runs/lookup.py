"""Which run and which experiment a command means, by the config that it is given."""

from pathlib import Path

from jsonargparse import Namespace

from callbacks.checkpointing.reading import last_valid
from descent.runs.folder import Run, newest_run, run_of
from foundation.processes import say


def config_files(config: Namespace) -> list[Path]:
    """Files given with `-c`."""
    return [Path(str(path)) for path in config.get("config") or [] if path is not None]


def config_run(config: Namespace) -> Run | None:
    """The run whose saved config is used again, if any."""
    files = config_files(config)
    return run_of(files[-1]) if files else None


def newest_run_of(config: Namespace) -> Run | None:
    """The experiment's newest run that can be gone on with; where there is none, it says so."""
    folder = Path(config.trainer.default_root_dir or ".") / (config.experiment or experiment_of(config, None))
    run = newest_run(folder) if folder.is_dir() else None
    if run is None or last_valid(run.folder / "checkpoints")[0] is None:
        say(f"--ckpt_path last: {folder} has no checkpoint to go on from yet, this run begins at the beginning.")
        return None
    return run


def experiment_of(config: Namespace, again: Run | None) -> str:
    """Name of the experiment: the run's whose config is used again, else the config file's."""
    if again is not None:
        return again.experiment
    files = config_files(config)
    return files[0].stem if files else "default"


def flat(config: Namespace) -> dict[str, str]:
    """A config as text by dotted key, without what may differ between the processes of a run: where files lie."""
    pairs = config.clone().as_flat()
    return {key: str(value) for key, value in vars(pairs).items() if key not in ("config", "trainer.default_root_dir")}
