"""Shorten a parse error of jsonargparse to one line: the key, what was expected and found, a suggestion."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from descent.presets import nearest
from foundation.compat import jsonargparse_messages as patterns
from foundation.suggestions import suggest

LIMIT = 600
LOGGERS = (
    "true, false, or one or a list of CSVLogger, TensorBoardLogger, WandbLogger (which needs the package wandb), "
    "MLFlowLogger (mlflow), CometLogger (comet-ml), LitLogger (litlogger) and classes of your own"
)


def explain(message: str, keys: Iterable[str]) -> str:
    """Shorten a parse error to one line.

    jsonargparse lists every type that it tried with the reason why it failed, nested like the config. This function
    joins the keys to a path and rewords the one reason that helps.

    Args:
        message: The message of jsonargparse.
        keys: Keys that the parser accepts, for "Did you mean …?".
    """
    text = message.strip()
    path = ".".join(re.findall(patterns.KEY, text))
    for pattern, explainer in RULES:
        found = re.search(pattern, text)
        if found and (line := explainer(Mistake(found, path, list(keys), text))):
            return line[:LIMIT]
    return re.sub(r"\s+", " ", text)[:LIMIT]


def members(dotted: str) -> list[str]:
    """List the public names of a module, or the arguments of a class; empty if the path names neither."""
    try:
        return [name for name in dir(importlib.import_module(dotted)) if not name.startswith("_")]
    except ImportError:
        module, _, name = dotted.rpartition(".")
        target = getattr(importlib.import_module(module), name, None) if module else None
        if target is None:
            return []
        passed_by_descent = {"params", "optimizer"} if module.startswith("torch.optim") else set()
        return [name for name in argument_names(target) if name not in passed_by_descent]


def argument_names(target: Callable[..., object]) -> list[str]:
    """Return the names of a function's or class's arguments, with those that `**kwargs` passes to a base class."""
    names: dict[str, None] = {}
    for each in inspect.getmro(target) if inspect.isclass(target) else (target,):
        parameters = inspect.signature(each).parameters.values()
        names |= {p.name: None for p in parameters if p.kind is not p.VAR_KEYWORD}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return list(names)


@dataclass(frozen=True)
class Mistake:
    """A parse error that matches a pattern.

    Args:
        found: The match.
        path: Dotted key of the value.
        keys: Keys that the parser accepts.
        text: The whole message.
    """

    found: re.Match[str]
    path: str
    keys: list[str]
    text: str

    @property
    def name(self) -> str:
        """The first group of the pattern."""
        return str(self.found[1])

    @property
    def given(self) -> str:
        """The value that was given."""
        values = re.findall(patterns.GIVEN_VALUE, self.text)
        return str(values[0]) if values else "something else"


def _unrecognized(mistake: Mistake) -> str:
    first = mistake.name.split()[0]
    return f"unknown argument {first}.{suggest(first.lstrip('-').partition('=')[0], mistake.keys)}"


def _not_accepted(mistake: Mistake) -> str:
    name, path = mistake.name, mistake.path
    classes = re.findall(patterns.CLASS_PATH, mistake.text)
    if not classes:
        return f"unknown key {name} in {path or 'the config'}.{suggest(name, [k.split('.')[-1] for k in mistake.keys])}"
    arguments = members(classes[-1])
    takes = f" It takes {', '.join(arguments)}." if arguments else ""
    return f"unknown key {path}.{name}: {classes[-1]} has no such argument.{suggest(name, arguments)}{takes}"


def _union(mistake: Mistake) -> str:
    """Return the error that a constructor raised, among the types that were tried; empty if there is none."""
    lines = [line.strip(" -") for line in mistake.name.splitlines() if line.strip()]
    reasons = [line for line in lines if not re.search(patterns.PROSE_OF_UNION, line)]
    if not reasons:
        return ""
    return (f"{mistake.path}: " if mistake.path else "") + re.sub(r"\s+", " ", reasons[-1])


def _required(mistake: Mistake) -> str:
    name, path = mistake.name, mistake.path
    if name == "optimizer" and path.endswith(".schedulers"):
        return (
            f"{path}: torch's SequentialLR and ChainedScheduler take schedulers that have their optimizer already: use "
            "lightning_modules.schedulers.Combined with the same schedulers and milestones."
        )
    if path in ("", "model", "data"):
        return (
            f"{path or 'the config'} lacks {name}: give a config, e.g. -c configs/quickstart.yaml, or the parts, "
            "e.g. --model.network networks/small_cnn.yaml --model.optimizer optimizers/adamw.yaml "
            "--data data/digits.yaml."
        )
    classes = re.findall(patterns.CLASS_PATH_OF_NAMESPACE, mistake.text)
    owner = next((owner for owner in classes if "ImageClassifier" not in owner), path)
    return f"{path}: {owner} needs {name}; give it as --{path}.{name.split(',')[0]} VALUE or in the config."


def _no_attribute(mistake: Mistake) -> str:
    module, attribute = mistake.found.groups()
    return f"{mistake.path}: {module} has no {attribute}.{suggest(attribute, members(module))}"


def _wrong_type(mistake: Mistake) -> str:
    types = re.findall(patterns.EXPECTED_TYPE, mistake.text)
    names = ["null" if name == "NoneType" else name for name in types if not name.startswith("lightning")]
    given = re.sub(r"\. Got value:.*", "", mistake.given)
    if mistake.path == "trainer.logger":
        return f"trainer.logger must be {LOGGERS}; got {given}."
    return f"{mistake.path} must be {' or '.join(dict.fromkeys(names)) or 'of another type'}, got {given}."


def _not_found(mistake: Mistake) -> str:
    kind = mistake.path.split(".")[-1]
    folder = kind if kind == "data" else f"{kind}s"
    return (
        f"{mistake.path}: {mistake.name} is neither a file nor a class path (such as torch.optim.SGD, or mine.Network "
        f"for a class in mine.py in the working folder).{nearest(f'{folder}/{mistake.name}.yaml')}"
    )


RULES: list[tuple[str, Callable[[Mistake], str]]] = [
    (patterns.UNRECOGNIZED, _unrecognized),
    (patterns.NOT_ACCEPTED, _not_accepted),
    (patterns.OPTION_NOT_ACCEPTED, lambda m: f"unknown key {m.name}.{suggest(m.name, m.keys)}"),
    (patterns.INVALID_YAML, lambda m: f"the config is not valid YAML: {' '.join(m.name.split())}"),
    (patterns.REQUIRED, _required),
    (patterns.NO_ATTRIBUTE, _no_attribute),
    (
        patterns.NO_MODULE,
        lambda m: f"{m.path}: no module named {m.name}. A class of your own is looked up in the working folder.",
    ),
    (patterns.NOT_A_SUBCLASS, lambda m: f"{m.path}: {m.name} is not a subclass of {m.found[2]}."),
    (patterns.NOT_A_CHOICE, lambda m: f"{m.path} must be one of {m.name}; got {m.given}."),
    (patterns.ERRORS_OF_SUBTYPES, _union),
    (patterns.NOT_OF_TYPE, _wrong_type),
    (patterns.NOT_AN_IMPORT_PATH, _not_found),
]
"""Pattern of an error of jsonargparse, and the function that writes the line. The first that writes one counts."""
