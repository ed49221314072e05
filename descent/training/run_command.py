"""Run a training command, and turn a user's mistake into one line and exit code 2."""

import sys
from pathlib import Path
from typing import Any

from descent import presets
from descent.runs.folder import resolve_checkpoint, run_of
from descent.training.command_line import DescentCLI
from descent.training.connection_errors import explain_loss
from descent.training.mistakes import fail, is_mistake, mistakes_in_one_line
from descent.training.processes import use_granted_threads
from foundation.compat.lightning_messages import quiet
from foundation.errors import UserError, error_line
from foundation.processes import process_name


def run_command(words: list[str], remark: str | None = None) -> Any:
    """Parse the words of a command line, whose first is the command; build and run.

    Args:
        words: The command line.
        remark: A line about the machine, printed before the run starts.

    Raises:
        SystemExit: With 2 after a user's mistake.
    """
    quiet()
    with mistakes_in_one_line("stopped."):
        words = with_config_of_checkpoint(resolve_presets(words))
        remarks = [line for line in (remark, use_granted_threads()) if line is not None]
        try:
            return DescentCLI(words, remarks)
        except Exception as error:
            lost = explain_loss(error)
            if lost is not None:
                fail(error, lost)
            if not is_mistake(error) and (name := process_name()):
                print(error_line(f"{type(error).__name__}: {error}", name), file=sys.stderr)
            raise


def resolve_presets(words: list[str]) -> list[str]:
    """Replace each preset's name by the path of its file, also in `--key=name`."""

    def resolved(word: str) -> str:
        key, equals, value = word.partition("=")
        return f"{key}={presets.resolve(value)}" if word.startswith("-") and equals else presets.resolve(word)

    found: list[str] = []
    for word, before in zip(words, ["", *words], strict=False):
        try:
            found.append(resolved(word))
        except presets.PresetNotFoundError as error:
            key = (word.partition("=")[0] if word.startswith("-") else before).lstrip("-")
            if key in ("", "c", "config"):
                raise
            path = word.partition("=")[2] if word.startswith("-") else word
            raise UserError(f"{key}: preset not found: {path}.{presets.nearest(path, key)}") from error
    return found


def with_config_of_checkpoint(words: list[str]) -> list[str]:
    """Without `-c`, put the config of the checkpoint's run first, so that what is typed overrides it.

    It is the file in the run's folder, else the text in the checkpoint. Words without either are returned unchanged.
    """
    if any(word in ("-c", "--config") or word.startswith("--config=") for word in words):
        return words
    path = _value_of("--ckpt_path", words)
    if path is None or path in ("best", "last"):
        return words
    checkpoint = resolve_checkpoint(path, "last", None)
    run = run_of(checkpoint)
    config = config_in(checkpoint) if run is None else str(run.config)
    return words if config is None else [words[0], "--config", config, *words[1:]]


def config_in(checkpoint: Path) -> str | None:
    """Return the text of the config that a checkpoint holds, or None."""
    from callbacks.checkpointing.metadata import KEY
    from callbacks.checkpointing.reading import read_checkpoint

    text = (read_checkpoint(checkpoint).get(KEY) or {}).get("config")
    return text or None


def _value_of(option: str, words: list[str]) -> str | None:
    """Return the value of `--option value` or `--option=value`."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None
