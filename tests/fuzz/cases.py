"""Generate mistakes from the configs' own schema: every key misspelt, and with values of every wrong kind."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from descent.config_errors.given import options, read_config
from descent.config_errors.tree import Tree
from descent.training.build import config_parser
from foundation.compat.signatures import parser_arguments

BASES = ("quickstart", "linear_regression", "regression", "binary", "multilabel", "segmentation", "gan")
QUICK = (
    "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1",
    "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
)  # fmt: skip
PRESETS = (
    "--model.scheduler=schedulers/plateau.yaml", "--model.optimizer=optimizers/sgd_momentum.yaml",
    "--trainer.callbacks=callbacks/early_stopping.yaml", "--trainer.callbacks=callbacks/ema.yaml",
)  # fmt: skip
COMMANDS = (*("fit",) * 8, "test", "validate", "show schedule", "profile", "find-lr")
VALUES = ("-1", "0", "1e30", "nan", "inf", "-inf", "some text", "null", "[a]", "{a: 1}", "true", "[]", "", "1.5", "ü")
NEVER_CHANGED = (
    "config",
    "help",
    "trainer.default_root_dir",
    "trainer.fast_dev_run",
    "trainer.barebones",
    "val_dataloaders",
)
"""Values of these change where a run writes, or how long it takes."""


@dataclass(frozen=True)
class Case:
    """A command with a mistake in it.

    Args:
        words: The command line.
        kind: "misspelt", "value", "file" or "class".
        key: The key that holds the mistake; empty if it is in a file as a whole.
        meant: The right key, for a misspelt one.
        file: Bytes of `mistake.yaml` in the working folder.
    """

    words: tuple[str, ...]
    kind: str
    key: str = ""
    meant: str = ""
    file: bytes | None = None


@cache
def keys(base: str, preset: str) -> list[str]:
    """Return every key that a config takes, also those of the classes that it chooses."""
    tree = Tree(parser_arguments(config_parser("fit")))
    tree.merge(read_config(f"configs/{base}.yaml"))
    for option, text in options([preset] if preset else []):
        tree.set(option.lstrip("-"), read_config(str(text)))
    return [key for key in tree.all_keys() if key not in NEVER_CHANGED]


def cases(
    seed: int, kinds: tuple[str, ...] = ("misspelt", "misspelt", "value", "value", "value", "class", "file")
) -> Iterator[Case]:
    """Yield mistakes without end; the same for the same seed."""
    choose = random.Random(seed)
    while True:
        base = choose.choice(BASES)
        preset = choose.choice(("", *PRESETS)) if base == "quickstart" else ""
        command = choose.choice(COMMANDS)
        start = (*command.split(), "-c", f"configs/{base}.yaml", *QUICK, *((preset,) if preset else ()))
        key = choose.choice(keys(base, preset))
        kind = choose.choice(kinds)
        yield MAKERS[kind](choose, start, key, keys(base, preset))


def _misspelt(choose: random.Random, start: tuple[str, ...], key: str, known: list[str]) -> Case:
    parent, _, last = key.rpartition(".")
    while True:
        place = choose.randrange(len(last))
        wrong = choose.choice(
            (
                last[:place] + last[place + 1 :],
                last[:place] + last[place] + last[place:],
                last[:place] + choose.choice("abcdeiorst") + last[place + 1 :],
                last.replace("_", "", 1),
            )
        )
        path = f"{parent}.{wrong}" if parent else wrong
        if len(wrong) > 1 and wrong != last and path not in known and not wrong.startswith("_"):
            return Case((*start, f"--{path}=1"), "misspelt", path, key)


def _value(choose: random.Random, start: tuple[str, ...], key: str, known: list[str]) -> Case:
    return Case((*start, f"--{key}={choose.choice(VALUES)}"), "value", key)


def _class(choose: random.Random, start: tuple[str, ...], key: str, known: list[str]) -> Case:
    key = choose.choice([each for each in ("model.network", "model.loss", "model.optimizer", "data") if each in known])
    wrong = choose.choice(
        ("NoSuchClass", "torch.nn.NoSuchClass", "nowhere.Class", "torch.optim.SGD", "torch.nn.Linear", "math.pi",
         "os.getcwd", ".", "..Class", "a b", "losses/nosuch.yaml", "nosuch.yaml", "torch.nn", "pathlib.Path")
    )  # fmt: skip
    return Case((*start, f"--{key}={wrong}"), "class", key)


def _file(choose: random.Random, start: tuple[str, ...], key: str, known: list[str]) -> Case:
    files = [
        b"", b"trainer:\n", b"model:\n", b"- a\n- b\n", b"text", b"trainer: [\n", b"a: &x [*x]\n", b"\xff\xfe\x00",
        b"trainer: {max_epochs: 1}\ntrainer: {max_epochs: 2}\n", "trainer: ü\n".encode("latin-1"), b"trainer:\n\t- a\n",
        b"\x89PNG\r\n\x1a\n", b"config: mistake.yaml\n", b"data: 3\n", b"trainer: 3\n",
        b"? [a, b]\n: 3\n", b"trainer: {max_epochs: !!python/object:os.system x}\n", b"model: *nowhere\n", b"1: 2\n",
        f"{key.split('.')[0]}: {{nosuchkey: 1}}\n".encode(),
    ]  # fmt: skip
    return Case((*start, "-c", "mistake.yaml"), "file", "", file=choose.choice(files))


MAKERS = {"misspelt": _misspelt, "value": _value, "class": _class, "file": _file}


def leftovers(folder: Path) -> list[str]:
    """Return what a command left in its working folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "mistake.yaml")
