"""Find the first key or value of a command line and its configs that no class takes, and say it in one line.

jsonargparse reports a mistake as a long text, without fields. So after it has refused a config, what was given is
walked once more, against the signatures of the classes that it names. jsonargparse itself judges each value.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from descent import presets
from descent.config_errors.given import (
    CONFIG_OPTIONS,
    LIMIT,
    Given,
    given_as_option,
    options,
    read_config,
    shorten,
    shown,
)
from descent.config_errors.tree import Tree
from descent.config_errors.types import fits, in_words
from descent.config_errors.values import Values, needs_parts
from foundation.compat.signatures import Argument
from foundation.errors import UserError
from foundation.suggestions import did_you_mean

ELSEWHERE = {
    "epochs": "trainer.max_epochs", "max_epoch": "trainer.max_epochs", "steps": "trainer.max_steps",
    "gpus": "trainer.devices", "seed": "seed_everything", "clip": "trainer.gradient_clip_val",
    "name": "experiment", "resume": "ckpt_path", "checkpoint_path": "ckpt_path", "workers": "data.num_workers",
}  # fmt: skip
"""What other programs call some options."""


def explain(
    message: str, words: Sequence[str], arguments: dict[str, Argument], others: Iterable[str], links: set[str]
) -> str:
    """Say in one line what is wrong with a command line that the parser refused.

    Args:
        message: The parser's own message, whose last reason is taken where every value fits by itself.
        words: The command line without the command.
        arguments: The parser's arguments that have a type.
        others: Names of its other options, such as `help`.
        links: Arguments that are filled in when the objects are built, as dotted names.
    """
    try:
        line = first_mistake(words, arguments, others, links)
    except (UserError, OSError) as error:
        line = str(error)
    return shorten(line or _last_reason(message), LIMIT)


def first_mistake(words: Sequence[str], arguments: dict[str, Argument], others: Iterable[str], links: set[str]) -> str:
    """Return a line about the first mistake; empty if every value fits by itself.

    Args:
        words: See `explain`, likewise the others.
        arguments: Arguments with a type.
        others: Names of other options.
        links: Arguments that are filled in later.

    Raises:
        UserError: A config file cannot be read.
    """
    tree = Tree(arguments)
    line = _add(words, tree, set(others) - set(arguments)) or _first_wrong(tree, links)
    if line:
        return line
    empty = next((option for option, text in options(words) if "{}" in (text or "").replace(" ", "")), None)
    return f"{empty.lstrip('-')} holds {{}}: give it keys, or leave it out." if empty is not None else ""


def passed_over(words: Sequence[str], arguments: dict[str, Argument], others: Iterable[str], links: set[str]) -> str:
    """Return a line about a key that holds `{}` and that no class has, which jsonargparse drops without a word.

    Args:
        words: See `explain`, likewise the others; the parser has accepted them.
        arguments: Arguments with a type.
        others: Names of other options.
        links: Arguments that are filled in later.
    """
    tree = Tree(arguments)
    _add(words, tree, set(others) - set(arguments))
    return _first_wrong(tree, links) if next(tree.empty_keys(), None) else ""


def _add(words: Sequence[str], tree: Tree, untyped: set[str]) -> str:
    """Put a command line into a tree; return what is wrong with its words."""
    for option, text in options(words):
        if option in CONFIG_OPTIONS:
            if text is None:
                return f"{option} needs the path of a config, e.g. -c configs/quickstart.yaml."
            tree.merge(read_config(text))
        elif not option:
            return _unexpected_word(str(text), tree)
        elif text == "=":
            return f"{option} =: write {option} VALUE or {option}=VALUE, without spaces around the sign."
        elif option.lstrip("-") not in untyped and (line := _add_option(option, text, tree)):
            near = (
                did_you_mean(option, [f"--{each}" for each in (*untyped, "help")], cutoff=0.75)
                if "." not in option
                else ""
            )
            return line if "Did you" in line or not near else f"unknown argument {option}. D{near[1:]}"
    return ""


def _first_wrong(tree: Tree, links: set[str]) -> str:
    """Return what is wrong with the first unknown key or value of a tree."""
    if tree.unknown:
        path, given = tree.unknown[0]
        if {"candidates", "baseline"} <= {each for each, _ in tree.unknown}:
            file = given.place.partition(",")[0]
            return f"{file} is a study, not the config of a run: descent compare -c {file}."
        return f"unknown key {path}.{_suggestion(path, tree)}{given.suffix}"
    values = Values(tree, links)
    for path, argument in tree.arguments.items():
        if path in tree.values and (line := values.mistake(path, tree.values[path], argument)):
            return line
    return next((needs_parts(path, missing) for path in ("model", "data") if (missing := values.missing(path))), "")


def _add_option(option: str, text: str | None, tree: Tree) -> str:
    """Put an option into the tree; return what is wrong with it."""
    name = option.lstrip("-").removesuffix("+")
    path = tree.argument_of(name)
    if path is None or not option.startswith("--"):
        return _unknown(option, name, tree)
    if text is None and path == name:
        return f"{option} needs a value: {in_words(tree.arguments[path].type)}."
    if text is None:  # an argument of the class that is chosen there
        return f"{option} needs a value." if name in tree.all_keys() else _unknown(option, name, tree)
    given = given_as_option(text)
    if option.endswith("+") and (before := tree.values.get(name)) is not None and not fits(given, list):
        items = before.value if isinstance(before.value, list) else [before]
        given = Given([*items, given])
    try:
        tree.set(name, given)
    except UserError as error:  # a file that it names
        return f"{name}: {error}"
    return ""


def _unknown(option: str, name: str, tree: Tree) -> str:
    return f"unknown argument {option}.{_suggestion(name, tree, dashes='--')}"


def _unexpected_word(word: str, tree: Tree) -> str:
    if word.endswith(presets.SUFFIXES):
        return f"unexpected word {shown(Path(word))}: a config is given as -c {shown(Path(word))}."
    name, equals, value = word.partition("=")
    if equals and name in tree.all_keys():
        return f"unexpected word {shorten(word)}: an option begins with --, so --{shorten(word)}."
    if equals and (meant := _suggestion(name, tree, dashes="--").removeprefix(" Did you mean ").removesuffix("?")):
        first = meant.split(" or ")[0]
        return f"unexpected word {shorten(word)}: an option is --KEY VALUE; did you mean {first} {shorten(value)}?"
    return f"unexpected word {shorten(word)}: an option is --KEY VALUE, e.g. --trainer.max_epochs 3."


def _suggestion(path: str, tree: Tree, dashes: str = "") -> str:
    """Suggest the key that was meant: a similar one, or one whose last part is what was given."""
    keys, last = tree.all_keys(), path.rpartition(".")[2]
    if (known := ELSEWHERE.get(last)) in keys:
        return f" Did you mean {dashes}{known}?"
    if same := [key for key in keys if key.rpartition(".")[2] == last][:2]:
        near = did_you_mean(path, [key for key in keys if "." not in key], cutoff=0.8)  # --mode, for --model
        same += [near.removeprefix("did you mean ").removesuffix("?")] if near else []
        return f" Did you mean {' or '.join(f'{dashes}{key}' for key in same[:3])}?"
    # Of keys that are equally similar, the one in the same place counts.
    beside = [key for key in keys if key.rpartition(".")[0] == path.rpartition(".")[0]]
    text = did_you_mean(path, beside, cutoff=0.7) or did_you_mean(path, keys)
    if not text and "." not in path:
        lasts = {key.rpartition(".")[2]: key for key in reversed(keys)}
        near = did_you_mean(path, lasts, cutoff=0.75).removeprefix("did you mean ").removesuffix("?")
        text = f"did you mean {lasts[near]}?" if near else ""
    return f" Did you mean {dashes}{text.removeprefix('did you mean ')}" if text else ""


def _last_reason(message: str) -> str:
    """Return the last line of a message that says more than the values it concerns."""
    lines = [" ".join(line.split()).lstrip("- ") for line in message.splitlines()]
    said = ("Given value", "Subtypes", "Errors:", "Parser key")
    return next((line for line in reversed(lines) if line and not line.startswith(said)), "the arguments do not fit.")
