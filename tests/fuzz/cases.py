"""Generate mistakes from the configs' own schema: keys misspelt, dropped, doubled, and values of every wrong kind."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from tests.fuzz.case import CLASSES, COMMANDS, VALUES, Case, Start, wrong_word
from tests.fuzz.commands import option
from tests.fuzz.files import CONFIGS, FILES
from tests.fuzz.schema import BASES, PRESETS, class_keys, content, nested
from tests.fuzz.studies import study


def cases(seed: int, kinds: tuple[str, ...] = ()) -> Iterator[Case]:
    """Yield mistakes without end; the same for the same seed."""
    choose = random.Random(seed)
    while True:
        base = choose.choice(BASES)
        preset = choose.choice(("", *PRESETS)) if base == "quickstart" else ""
        command = choose.choice(COMMANDS)
        # The loss of a GAN need not fall, by which a rate is found.
        start = Start("fit" if (command, base) == ("find-lr", "gan") else command, base, preset)
        yield MAKERS[choose.choice(kinds or USUAL)](choose, start)


def _wrong_spelling(choose: random.Random, start: Start) -> tuple[str, str]:
    while True:
        key = choose.choice(start.keys)
        parent, _, last = key.rpartition(".")
        wrong = wrong_word(choose, last)
        path = f"{parent}.{wrong}" if parent else wrong
        if len(wrong) > 1 and wrong != last and path not in start.keys and not wrong.startswith("_"):
            return path, key


def _misspelt(choose: random.Random, start: Start) -> Case:
    path, key = _wrong_spelling(choose, start)
    if "." in path and choose.random() < 0.3:
        content: Any = choose.choice((1, {}, {"a": {}}, [], None))
        return _in_file(start, path, nested(path, content), "misspelt", key)
    return Case((*start.words, f"--{path}=1"), "misspelt", path, key)


def _value(choose: random.Random, start: Start) -> Case:
    key, value = choose.choice(start.keys), choose.choice(VALUES)
    if choose.random() < 0.3:
        with contextlib.suppress(yaml.YAMLError):
            return _in_file(start, key, nested(key, yaml.safe_load(value)), "value")
    return Case((*start.words, f"--{key}={value}"), "value", key)


def _class(choose: random.Random, start: Start) -> Case:
    key, value = choose.choice(class_keys(start.base, start.preset)), choose.choice(CLASSES)
    if choose.random() < 0.2:
        return Case((*start.words, f"--{key}=mistake.yaml"), "class", key, file=choose.choice((*CONFIGS, *FILES)))
    if choose.random() < 0.3:
        with contextlib.suppress(yaml.YAMLError):
            return _in_file(start, key, nested(key, yaml.safe_load(value)), "class")
    return Case((*start.words, f"--{key}={value}"), "class", key)


def _in_file(start: Start, key: str, config: dict[str, object], kind: str, meant: str = "") -> Case:
    text = yaml.safe_dump(config, allow_unicode=True).encode()
    return Case((*start.words, "-c", "mistake.yaml"), kind, key, meant, text)


def _dropped(choose: random.Random, start: Start) -> Case:
    config = content(start.base)
    node, name, path = choose.choice(list(_places(config)))
    del node[name]
    text = yaml.safe_dump(config).encode()
    return Case((*start.command.split(), "-c", "mistake.yaml", *start.options), "dropped", "", path, text)


def _places(node: Any, path: str = "") -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield every key of a config: the mapping that holds it, its name and its path."""
    if isinstance(node, list):
        for item in node:
            yield from _places(item, path)
    elif isinstance(node, dict):
        for key, value in node.items():
            inside = f"{path}.{key}".lstrip(".")
            yield node, key, inside
            yield from _places(value, inside)


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
    "other": _other, "option": option, "study": study,
}  # fmt: skip
USUAL = (
    *("value",) * 6, *("misspelt",) * 4, *("class",) * 3, *("option",) * 3, *("file",) * 2, "dropped", "doubled", "other",
    "study",
)  # fmt: skip
