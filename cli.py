"""The command line: `descent COMMAND …`, or `python cli.py COMMAND …`."""

import importlib
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from descent.allocator import tune_allocator
from descent.commands.table import INSTANT, LIGHT, TRAINING, commands
from descent.threads import wait_politely
from foundation.processes import end_process

OTHER_NAMES = {
    "train": "fit -c CONFIG", "run": "fit -c CONFIG", "resume": "fit --ckpt_path RUN", "tune": "find-lr -c CONFIG",
    "eval": "evaluate --ckpt_path RUN", "infer": "predict --ckpt_path RUN --images FOLDER", "study": "compare -c STUDY",
}  # fmt: skip
"""What other programs call some commands."""


def main(args: list[str] | None = None) -> Any:
    """Run a command.

    Args:
        args: The words after `descent`; by default those of this process's command line.

    Returns:
        For a training command the `LightningCLI` object: its `trainer`, `model`, `datamodule` and `run`.

    Raises:
        SystemExit: With 2 after a mistake in the arguments, the config or the data; the error is one line.
    """
    words = list(sys.argv[1:] if args is None else args)
    _print_any_letter()
    if (text := _static_answer(words)) is not None:
        from foundation.terminal.folding import reflowed, terminal_width

        print(reflowed(text, terminal_width()))
        return None
    _need_something_to_work_on(words)
    _say_first_words(words)
    try:
        tune_allocator()  # before torch is imported, as the next
        remark = wait_politely()
    except ValueError as error:
        _refuse(str(error))
    # A console script does not have the working folder on its path; the user's own classes are looked up there, last.
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))
    if words[:2] == ["show", "schedule"]:
        words = ["show_schedule", *words[2:]]
    command = words[0].replace("-", "_")
    if command == "predict" and any(word.partition("=")[0] == "--images" for word in words):
        return importlib.import_module("descent.commands.predict").main(words[1:])
    if command in LIGHT:
        return importlib.import_module(LIGHT[command]).main(words[1:])
    if command not in TRAINING:
        _unknown_command(words[0])
    from foundation.compat.quick_import import import_torchmetrics

    import_torchmetrics()  # before Lightning imports it
    from descent.training.run_command import run_command

    return run_command([command, *words[1:]], remark)


def _print_any_letter() -> None:
    """Print `?` for a letter that the terminal's encoding lacks, such as ≥ in Latin-1, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        if encoding.lower().replace("-", "") != "utf8" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _static_answer(words: list[str]) -> str | None:
    """Return the answer of a command that needs no library: help and version."""
    from descent.training.help import HELP, USAGE

    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words[0] in ("-h", "--help"):
        return USAGE.rstrip()
    if words[0] in ("-V", "--version", "version"):
        from foundation.hardware import versions

        return versions()
    command = "show_schedule" if words[:2] == ["show", "schedule"] else words[0].replace("-", "_")
    asks = any(word in ("-h", "--help") for word in words)
    images = any(word.partition("=")[0] == "--images" for word in words)
    return HELP[command].rstrip() if asks and command in HELP and command in TRAINING and not images else None


def _need_something_to_work_on(words: list[str]) -> None:
    """Refuse a training command without any option at once; importing torch takes seconds."""
    command = " ".join(words)
    if command in ("test", "validate", "predict"):
        _refuse(f"{command} needs a trained network: descent {command} --ckpt_path runs/quickstart.")
    if command in ("fit", "find-lr", "profile", "show schedule"):
        _refuse(f"{command} needs a config: descent {command} -c configs/quickstart.yaml.")


def _say_first_words(words: list[str]) -> None:
    """Say on a terminal what runs, before torch is imported, which takes seconds; a log file needs no such line."""
    command = words[0].replace("-", "_")
    asks = not words[1:] or any(word in ("-h", "--help") for word in words)
    if not sys.stderr.isatty() or asks or command not in {*TRAINING, *LIGHT} - INSTANT:
        return
    from foundation.processes import say

    named = pairwise(words)
    about = [value for word, value in named if word in ("-c", "--config", "--ckpt_path", "--images")]
    about += [word.partition("=")[2] for word in words if word.startswith(("--config=", "--ckpt_path=", "--images="))]
    say(f"descent {words[0]}" + (f": {', '.join(about)}" if about else "") + " …")


def _unknown_command(word: str) -> None:
    from foundation.suggestions import did_you_mean

    otherwise = f"there are {', '.join(commands())}."
    if word in OTHER_NAMES:
        otherwise = f"did you mean descent {OTHER_NAMES[word]}?"
    elif word.startswith("-") or word.endswith((".yaml", ".yml")):
        otherwise = "the command comes first, e.g. descent fit -c configs/quickstart.yaml."
    named = commands() if word not in OTHER_NAMES else []
    _refuse(f"unknown command {word}: {did_you_mean(word, named, otherwise)}")


def _refuse(text: str) -> None:
    from descent.commands.parser import refuse  # needs argparse, which `descent --help` does not

    refuse(text)


def console() -> None:
    """Run the installed command; it returns nothing, because a script's exit code is what this function returns."""
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:  # while torch was imported
        print("\nstopped.", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of the pipe, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    end_process()


if __name__ == "__main__":
    console()
