"""Parse errors for people: the key, what was expected, what was found, what comes near."""

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterable

from foundation.compat import jsonargparse_messages as said

LIMIT = 600


def explain(message: str, keys: Iterable[str]) -> str:
    """A parse error in one or two lines.

    jsonargparse lists every type that it tried, each with its reason, nested as the config is. Here the path of keys is
    put together and the one reason that tells something is put into words.

    Args:
        message: What jsonargparse says.
        keys: Keys that the parser takes, for a "did you mean".
    """
    text = message.strip()
    path = ".".join(re.findall(said.KEY, text))
    for pattern, words in RULES:
        found = re.search(pattern, text)
        if found and (line := words(found, path, list(keys), text)):
            return line[:LIMIT]
    return re.sub(r"\s+", " ", text)[:LIMIT]


def suggest(word: str, candidates: Iterable[str]) -> str:
    """` Did you mean …?` if something comes near, else nothing."""
    close = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def members(dotted: str) -> list[str]:
    """Public names in a module, or arguments of a class, by its path; empty if there is none."""
    try:
        return [name for name in dir(importlib.import_module(dotted)) if not name.startswith("_")]
    except ImportError:
        module, _, name = dotted.rpartition(".")
        target = getattr(importlib.import_module(module), name, None) if module else None
        if target is None:
            return []
        given_later = {"params", "optimizer"} if module.startswith("torch.optim") else set()
        return [name for name in argument_names(target) if name not in given_later]


def argument_names(target: Callable[..., object]) -> list[str]:
    """Return the names of a function's or class's arguments, with those that `**kwargs` passes to a base class."""
    names: dict[str, None] = {}
    for each in inspect.getmro(target) if inspect.isclass(target) else (target,):
        parameters = inspect.signature(each).parameters.values()
        names |= {p.name: None for p in parameters if p.kind is not p.VAR_KEYWORD}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return list(names)


Words = Callable[[re.Match[str], str, list[str], str], str]


def _unrecognized(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    first = found[1].split()[0]
    return f"unknown argument {first}.{suggest(first.lstrip('-').partition('=')[0], keys)}"


def _not_accepted(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    classes = re.findall(said.CLASS_PATH, text)
    name = found[1]
    if not classes:
        return f"unknown key {name} in {path or 'the config'}.{suggest(name, [k.split('.')[-1] for k in keys])}"
    arguments = members(classes[-1])
    takes = f" It takes {', '.join(arguments)}." if arguments else ""
    return f"unknown key {path}.{name}: {classes[-1]} has no such argument.{suggest(name, arguments)}{takes}"


def _unknown_key(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    return f"unknown key {found[1]}.{suggest(found[1], keys)}"


def _union(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    """What a constructor said, among the types that were tried; nothing if that is not there."""
    reasons = [
        line.strip(" -") for line in found[1].splitlines() if line.strip() and not re.search(said.PROSE_OF_UNION, line)
    ]
    if not reasons:
        return ""
    return (f"{path}: " if path else "") + re.sub(r"\s+", " ", reasons[-1])


def _required(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    classes = re.findall(said.CLASS_PATH_OF_NAMESPACE, text)
    if path in ("", "model", "data"):
        return (
            f"{path or 'the config'} lacks {found[1]}: give a config, e.g. -c configs/quickstart.yaml, or the parts, "
            "e.g. --model.network networks/small_cnn.yaml --model.optimizer optimizers/adamw.yaml "
            "--data data/digits.yaml."
        )
    owner = next((name for name in classes if "ImageClassifier" not in name), path)
    return f"{path}: {owner} needs {found[1]}; give it as --{path}.{found[1].split(',')[0]} VALUE or in the config."


def _no_attribute(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    return f"{path}: {found[1]} has no {found[2]}.{suggest(found[2], members(found[1]))}"


def _no_module(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    return f"{path}: no module named {found[1]}. A class of your own is looked up in the working folder."


def _not_a_subclass(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    return f"{path}: {found[1]} is no {found[2]}."


def _wrong_type(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    types = re.findall(said.EXPECTED_TYPE, text)
    wanted = " or ".join(
        dict.fromkeys("null" if t == "NoneType" else t for t in types if not t.startswith("lightning"))
    )
    value = re.findall(said.GIVEN_VALUE, text)
    given = re.sub(r"\. Got value:.*", "", value[0]) if value else "something else"
    return f"{path} must be {wanted or 'of another type'}, got {given}."


def _not_found(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    from descent.presets import nearest

    kind = path.split(".")[-1]
    folder = kind if kind == "data" else f"{kind}s"
    return (
        f"{path}: {found[1]} is neither a file nor a class path (such as torch.optim.SGD, or mine.Network for a class "
        f"in mine.py in the working folder).{nearest(f'{folder}/{found[1]}.yaml')}"
    )


def _literal(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    given = re.findall(said.GIVEN_VALUE, text)
    return f"{path} must be one of {found[1]}; got {given[0] if given else 'something else'}."


def _yaml(found: re.Match[str], path: str, keys: list[str], text: str) -> str:
    reason = re.sub(r"\s+", " ", found[1])
    return f"the config is not valid YAML: {reason}"


RULES: list[tuple[str, Words]] = [
    (said.UNRECOGNIZED, _unrecognized),
    (said.NOT_ACCEPTED, _not_accepted),
    (said.OPTION_NOT_ACCEPTED, _unknown_key),
    (said.INVALID_YAML, _yaml),
    (said.REQUIRED, _required),
    (said.NO_ATTRIBUTE, _no_attribute),
    (said.NO_MODULE, _no_module),
    (said.NOT_A_SUBCLASS, _not_a_subclass),
    (said.NOT_A_CHOICE, _literal),
    (said.ERRORS_OF_SUBTYPES, _union),
    (said.NOT_OF_TYPE, _wrong_type),
    (said.NOT_AN_IMPORT_PATH, _not_found),
]
