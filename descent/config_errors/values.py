"""Check one value of a config against its type: numbers, texts and lists; classes with their arguments."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from descent import presets
from descent.config_errors.given import Given, is_number, shorten
from descent.config_errors.named_class import arguments_of, find_class, name_of, subclasses
from descent.config_errors.nulls import accepts_null
from descent.config_errors.tree import RESERVED, Tree, has_empty
from descent.config_errors.types import WORDS, classes_of, fits, in_words, item_type, members
from foundation.compat.signatures import Argument
from foundation.suggestions import did_you_mean


class Values:
    """Checks values.

    Args:
        tree: Everything that was given.
        links: Arguments that are filled in when the objects are built, as dotted names.
    """

    def __init__(self, tree: Tree, links: set[str]) -> None:
        self.tree = tree
        self.links = links

    def mistake(self, path: str, given: Given, argument: Argument) -> str:
        """Return what is wrong with a value; empty if nothing is."""
        kind = argument.type
        classes, item = classes_of(kind), item_type(kind)
        if classes or (item is not None and classes_of(item)):
            given = self.tree.opened(given, path)
        if line := self._emptied(path, given, classes):
            return line
        accepted = fits(given, kind) or (given.value is None and accepts_null(argument))
        if accepted and not has_empty(given):
            return ""
        if isinstance(given.value, list) and item is not None:
            lines = (self.mistake(f"{path}[{i}]", each, Argument(item)) for i, each in enumerate(given.value))
            if line := next(filter(None, lines), ""):
                return line
        if not classes and item is not None and not isinstance(given.value, list):
            classes = classes_of(item)
        if classes and _may_be_class(given, kind):
            default = given.value == {} and argument.default not in (None, "")
            return "" if default else self._of_class(path, given, classes)
        if accepted:
            return ""
        if given.value in ({}, None) and given.text is None and type(None) not in members(kind):
            return f"{path} is empty: give it {'keys' if classes else 'a value'} or remove it.{given.suffix}"
        found = given.text if given.text is not None else given.plain
        hint = _digits(found, kind) or _tuple(str(found), item) or similar_classes(str(found), classes)
        return f"{path} must be {in_words(kind)}, got {shorten(found)}{hint}.{given.suffix}"

    def _of_class(self, path: str, given: Given, classes: list[tuple[type, int]]) -> str:
        """Return what is wrong with a class path and its arguments."""
        node = given.value if isinstance(given.value, dict) else {}
        named = node.get("class_path") if isinstance(given.value, dict) else given
        if (inside := node.get("init_args")) is not None and not isinstance(inside.value, (dict, type(None))):
            return f"{path}.init_args must be a mapping of arguments, got {shorten(inside.plain)}.{inside.suffix}"
        if named is not None and isinstance(named.value, (dict, list)):
            return f"{path}.class_path must be the path of a class, such as torch.optim.SGD.{named.suffix}"
        class_path = self.tree.default_class(path) if named is None else str(named.plain)
        if class_path in (None, "None"):
            kind = " or ".join(base.__name__ for base, _ in classes)
            return f"{path} lacks class_path, the class of kind {kind} that it configures.{given.suffix}"
        beside = [key for key in node if key not in RESERVED] if named is not None else []
        if beside:
            where, key = node[beside[0]].suffix, f"{path}.{beside[0]}"
            return f"{key} stands beside class_path: the arguments of a class stand below init_args.{where}"
        target, line = find_class(class_path, classes)
        if target is None:
            suffix = named.suffix if named is not None else given.suffix
            return f"{path}: {line.replace('{preset}', _preset(path, class_path, classes))}{suffix}"
        taken = arguments_of(target, classes)
        for name, value in self.tree.arguments_given(given).items():
            if name not in taken:
                return _unknown_argument(path, name, value, name_of(target), taken)
            if line := self.mistake(f"{path}.{name}", value, taken[name]):
                return line
        missing = self._missing(path, given, taken)
        if not missing:
            return ""
        if path in ("model", "data") and len(self.tree.values) < 2:
            return needs_parts(path, missing)
        if "optimizer" in missing and "schedulers[" in path:
            return (
                f"{path.partition('[')[0]}: torch's SequentialLR and ChainedScheduler take schedulers that have their "
                "optimizer already: use lightning_modules.schedulers.Combined with the same schedulers and milestones."
            )
        how = (
            f"give it as --{path}.{missing[0]} VALUE or in the config" if "[" not in path else "add it to its init_args"
        )
        return f"{path}: {name_of(target)} needs {', '.join(missing)}; {how}.{given.suffix}"

    def _emptied(self, path: str, given: Given, classes: list[tuple[type, int]]) -> str:
        """Return what is wrong with `{}` for a number, which jsonargparse takes for a tensor: torch's lr may be one."""
        named = given.value.get("class_path") if classes and isinstance(given.value, dict) else None
        target = find_class(str(named.plain), classes)[0] if named is not None else None
        taken = arguments_of(target, classes) if target is not None else {}
        for name, value in self.tree.arguments_given(given).items() if taken else ():
            if value.value == {} and name in taken and {int, float} & set(members(taken[name].type)):
                return f"{path}.{name} must be {in_words(taken[name].type)}, got {{}}.{value.suffix}"
        return ""

    def _missing(self, path: str, given: Given, taken: dict[str, Argument]) -> list[str]:
        present = self.tree.arguments_given(given)
        needed = [name for name, argument in taken.items() if argument.required and name not in present]
        return [name for name in needed if f"{path}.{name}" not in self.links]

    def missing(self, path: str) -> list[str]:
        """Return the arguments without default of a class that was not configured at all."""
        default = self.tree.default_class(path)
        if path not in self.tree.arguments or path in self.tree.values or default is None:
            return []
        target, _ = find_class(default, [])
        return self._missing(path, Given({}), arguments_of(target, []))


def needs_parts(path: str, missing: Iterable[str]) -> str:
    """Say what a command needs that got neither network nor optimizer."""
    *others, last = [f"-c {name}" for name in (*configs_here(), "configs/quickstart.yaml")]
    given = f"{', '.join(others)} or {last}" if others else last
    return (
        f"{path} lacks {', '.join(missing)}: give a config, e.g. {given}, or the parts, e.g. "
        "--model.network networks/small_cnn.yaml --model.optimizer optimizers/adamw.yaml --data data/digits.yaml."
    )


def configs_here() -> list[str]:
    """Return the configs of runs in the working folder, the newest first, at most three."""
    files = [path for path in Path.cwd().glob("*.y*ml") if path.is_file()]
    found = [path for path in files if re.search("^(model|trainer):", path.read_text("utf-8", "replace"), re.MULTILINE)]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:3]]


def _may_be_class(given: Given, kind: Any) -> bool:
    """Whether a value is meant as a class: where a number or a text would do too, only a path with dots."""
    if isinstance(given.value, dict):
        return "class_path" in given.value or not set(members(kind)) & {int, float, bool, str}
    simple = set(members(kind)) & (set(WORDS) - {type(None)})
    if given.value in (None, "null"):
        return False
    return isinstance(given.value, str) and ("." in given.value or not simple) and not is_number(given.value)


def similar_classes(found: str, classes: list[tuple[type, int]]) -> str:
    """Suggest a class of the kind that is needed, or list those that there are."""
    public = [each for base, _ in classes for each in subclasses(base) if not each.__name__.startswith(("_", "Dummy"))]
    known = [each.__name__ for each in public if each.__module__.partition(".")[0] not in ("foundation", "descent")]
    similar = [name for name in known if len(found) > 2 and _begins_a_word(found, name)]
    if not similar:  # without the word that all of them end with, as in NeptuneLogger and CometLogger
        stems = {name.removesuffix(base.__name__) or name: name for base, _ in classes for name in reversed(known)}
        ends = tuple(base.__name__ for base, _ in classes)
        stem = next((found.removesuffix(end) for end in ends if found.endswith(end)), found)
        near = did_you_mean(stem, stems).removeprefix("did you mean ").removesuffix("?")
        similar = [stems[near]] if near else []
    text = f"did you mean {similar[0]}" if similar else ""
    if text and found not in ("None", "null") and not is_number(found):
        return f": {text}"
    return f"; there are {', '.join(sorted(set(known)))}" if 0 < len(set(known)) < 8 else ""


def _begins_a_word(found: str, name: str) -> bool:
    """Return whether a text begins a word of a class's name, such as `entropy` in `CrossEntropyLoss`."""
    return any(name[at:].lower().startswith(found.lower()) for at, letter in enumerate(name) if letter.isupper())


def _tuple(found: str, item: Any) -> str:
    """Return how a tuple of Python is written in a config."""
    inside = re.fullmatch(r"\(([^()]+)\)", found.strip()) or re.fullmatch(r"([\d.e-]+(?:, *[\d.e-]+)+)", found.strip())
    return f": write [{inside[1].strip(' ,')}]" if inside and item is not None else ""


def _digits(found: object, kind: Any) -> str:
    """Suggest how a number is written: `1e3` for an integer, `10k`, `10 %`, `0,1`."""
    text = str(found).strip()
    if float in members(kind) and (share := re.fullmatch(r"(\d+(?:[.,]\d+)?) ?%|(\d+),(\d+)", text)):
        number = float(share[1].replace(",", ".")) / 100 if share[1] else float(f"{share[2]}.{share[3]}")
        counted = int in members(kind) and number > 1  # a share of the batches, or their number
        return "" if counted else f": write {number:g}"
    if int in members(kind) and (unit := re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKM])", text)):
        number = float(unit[1]) * (1e6 if unit[2] == "M" else 1e3)
        return f": in digits {number:.0f}" if number.is_integer() else ""  # whether it is in range is not known here
    if int not in members(kind) or not is_number(text):
        return ""
    number = float(text)
    return f": write {int(number)}" if number.is_integer() and abs(number) < 1e15 else ""


def _preset(path: str, name: str, classes: list[tuple[type, int]]) -> str:
    """Suggest a preset of the same kind whose class fits."""
    kind = presets.kind_of(path)
    name = name.removeprefix(f"{kind}/")
    known = [each for each in presets.names() if kind is not None and each.startswith(f"{kind}/")]
    suggested = [each for each in known if did_you_mean(f"{kind}/{name}.yaml", [each], cutoff=0.8)]
    fitting = [each for each in suggested if find_class(_class_of(each), classes)[0] is not None]
    if text := did_you_mean(f"{kind}/{name}.yaml", fitting, cutoff=0.8):
        return f" D{text[1:]}"
    return f" `descent presets {kind}` lists the shipped ones." if known else ""


def _class_of(preset: str) -> str:
    """Return the class path of a shipped preset; empty where it names none."""
    held = yaml.safe_load((presets.SHIPPED / preset).read_text(encoding="utf-8"))
    return str(held.get("class_path", "")) if isinstance(held, dict) else ""


def _unknown_argument(path: str, name: str, value: Given, owner: str, taken: dict[str, Argument]) -> str:
    dashes = "" if value.place or "[" in path else "--"
    similar = did_you_mean(name, taken, cutoff=0.5 if len(name) < 4 else 0.6)  # ls, for lr
    hint = similar.replace("did you mean ", f" Did you mean {dashes}{path}.") if similar else ""
    if "." in name and name.rpartition(".")[2][:1].isupper():
        hint = f" A class is named by its path alone: {dashes}{path}{' ' if dashes else ': '}{name}."
    takes = f" It takes {shorten(', '.join(taken), 160)}." if taken else " It takes no arguments."
    kind = "unknown argument" if dashes else "unknown key"
    return f"{kind} {dashes}{path}.{name}: {owner} has no argument {name}.{hint}{takes}{value.suffix}"
