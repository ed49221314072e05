"""Generate mistakes from the configs' own schema: keys misspelt, dropped, doubled, and values of every wrong kind."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.fuzz.files import CONFIGS, FILES
from tests.fuzz.schema import BASES, PRESETS, class_keys, content, keys, nested

QUICK = (
    "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
)  # fmt: skip
OF_COMMAND = {"profile": ("--steps=3", "--tries=false"), "find-lr": ("--steps=20", "--repeats=1")}
COMMANDS = (*("fit",) * 8, "test", "validate", "show schedule", "profile", "find-lr")
VALUES = (
    "-1", "0", "1e30", "nan", "inf", "-inf", "some text", "null", "[a]", "{a: 1}", "true", "[]", "", "1.5", "ü",
    "[1, nan]", "{}", "2", "100", "-0.5", "0x10", "1e-400", "[[1]]", "~", "${x}", "99999999999999999999", "'", "a: b",
)  # fmt: skip
CLASSES = (
    "NoSuchClass", "torch.nn.NoSuchClass", "nowhere.Class", "torch.optim.SGD", "torch.nn.Linear", "math.pi",
    "os.getcwd", ".", "..Class", "a b", "losses/nosuch.yaml", "nosuch.yaml", "torch.nn", "pathlib.Path",
    "torch.optim.Adma", "builtins.dict", "{class_path: null}", "{class_path: 3}", "{init_args: {a: 1}}",
    "{class_path: torch.optim.SGD, init_args: 3}", "{class_path: torch.nn.Linear, init_arg: {}}", "[torch.nn.ReLU]",
    "torch.nn.Module", "torch.optim.Optimizer", "collections.abc.Sized", "unittest.mock.Mock", "losses/focal.yml",
    "losses/focal", "mistake.py", "mistake.Raises",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A command with a mistake in it.

    Args:
        words: The command line.
        kind: One of `MAKERS`.
        key: The key that holds the mistake; empty if it is in a file as a whole.
        meant: The right key, for a misspelt one.
        file: Bytes of `mistake.yaml` in the working folder.
    """

    words: tuple[str, ...]
    kind: str
    key: str = ""
    meant: str = ""
    file: bytes | None = None


@dataclass(frozen=True)
class Start:
    """What a case starts from: a command, and the config that it is given.

    Args:
        command: The command.
        base: Name of a shipped config.
        preset: An option that chooses a preset, or an empty text.
    """

    command: str
    base: str
    preset: str

    @property
    def options(self) -> tuple[str, ...]:
        """Options that keep the run short, and the preset."""
        return (*QUICK, *OF_COMMAND.get(self.command, ()), *([self.preset] if self.preset else []))

    @property
    def words(self) -> tuple[str, ...]:
        """A command line without a mistake."""
        return (*self.command.split(), "-c", f"configs/{self.base}.yaml", *self.options)

    @property
    def keys(self) -> list[str]:
        """Every key that could be given."""
        return keys(self.base, self.preset)


def cases(seed: int, kinds: tuple[str, ...] = ()) -> Iterator[Case]:
    """Yield mistakes without end; the same for the same seed."""
    choose = random.Random(seed)
    while True:
        base = choose.choice(BASES)
        preset = choose.choice(("", *PRESETS)) if base == "quickstart" else ""
        start = Start(choose.choice(COMMANDS), base, preset)
        yield MAKERS[choose.choice(kinds or USUAL)](choose, start)


def _wrong_spelling(choose: random.Random, start: Start) -> tuple[str, str]:
    while True:
        key = choose.choice(start.keys)
        parent, _, last = key.rpartition(".")
        place, letter = choose.randrange(len(last)), choose.choice("abcdeiorst")
        wrong = choose.choice((
            last[:place] + last[place + 1 :], last[:place] + last[place] + last[place:],
            last[:place] + letter + last[place + 1 :], last.replace("_", "", 1), last + "s",
        ))  # fmt: skip
        path = f"{parent}.{wrong}" if parent else wrong
        if len(wrong) > 1 and wrong != last and path not in start.keys and not wrong.startswith("_"):
            return path, key


def _misspelt(choose: random.Random, start: Start) -> Case:
    path, key = _wrong_spelling(choose, start)
    if "." in path and choose.random() < 0.3:
        return _in_file(start, path, nested(path, 1), "misspelt", key)
    return Case((*start.words, f"--{path}=1"), "misspelt", path, key)


def _value(choose: random.Random, start: Start) -> Case:
    key, value = choose.choice(start.keys), choose.choice(VALUES)
    if choose.random() < 0.3:
        try:
            return _in_file(start, key, nested(key, yaml.safe_load(value)), "value")
        except yaml.YAMLError:
            pass
    return Case((*start.words, f"--{key}={value}"), "value", key)


def _class(choose: random.Random, start: Start) -> Case:
    key = choose.choice(class_keys(start.base, start.preset))
    return Case((*start.words, f"--{key}={choose.choice(CLASSES)}"), "class", key)


def _in_file(start: Start, key: str, config: dict[str, object], kind: str, meant: str = "") -> Case:
    text = yaml.safe_dump(config, allow_unicode=True).encode()
    return Case((*start.words, "-c", "mistake.yaml"), kind, key, meant, text)


def _dropped(choose: random.Random, start: Start) -> Case:
    config = content(start.base)
    places = [(config, key, key) for key in config]
    for group, inside in config.items():
        if isinstance(inside, dict):
            places += [(inside, key, f"{group}.{key}") for key in inside]
    node, name, path = choose.choice(places)
    del node[name]
    text = yaml.safe_dump(config).encode()
    return Case((*start.command.split(), "-c", "mistake.yaml", *start.options), "dropped", "", path, text)


def _doubled(choose: random.Random, start: Start) -> Case:
    key = choose.choice([each for each in start.keys if "." in each])
    *parents, last = key.split(".")
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(parents)]
    lines += [f"{'  ' * len(parents)}{last}: {value}" for value in (1, 2)]
    return Case((*start.words, "-c", "mistake.yaml"), "doubled", last, file="\n".join(lines).encode())


def _file(choose: random.Random, start: Start) -> Case:
    group = f"{choose.choice(start.keys).split('.')[0]}: {{nosuchkey: 1}}\n".encode()
    return Case((*start.words, "-c", "mistake.yaml"), "file", "", file=choose.choice([*CONFIGS, group]))


def _other(choose: random.Random, start: Start) -> Case:
    """Give a wrong file to a command that takes a checkpoint, images or a study."""
    file, path = choose.choice(FILES), choose.choice(("mistake.yaml", "nowhere", ".", "", "mistake.yaml/x", "ü\n"))
    words = choose.choice((
        ("evaluate", "--ckpt_path", path), ("evaluate", "--ckpt_path", path, "--images", "."), ("inspect", path),
        ("export", "--ckpt_path", path, "--to", choose.choice(("onnx", "torch", "nosuch", ""))), ("replay", path),
        ("predict", "--ckpt_path", path, "--images", path), ("fit", "--ckpt_path", path), ("test", "--ckpt_path", path),
        ("compare", "-c", path), ("compare", "-c", path, "--plan"), ("presets", path), ("show", path), ("guide", path),
        ("show", "losses", "--out", path, "--nosuch"), ("completion", path), (path,), ("help", path),
        ("fit", "-c", path), ("verify-resume", "-c", path), ("fit", path), ("fit", "--model.weights", path, *start.words[1:]),
    ))  # fmt: skip
    return Case(words, "other", file=file)


MAKERS: dict[str, Callable[[random.Random, Start], Case]] = {
    "misspelt": _misspelt, "value": _value, "class": _class, "file": _file, "dropped": _dropped, "doubled": _doubled,
    "other": _other,
}  # fmt: skip
USUAL = (*("value",) * 6, *("misspelt",) * 4, *("class",) * 3, *("file",) * 2, "dropped", "doubled", "other")


def leftovers(folder: Path) -> list[str]:
    """Return what a command left in its working folder."""
    given = ("mistake.yaml", "mistake.py", "__pycache__")
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not set(given) & set(path.relative_to(folder).parts)
    )
