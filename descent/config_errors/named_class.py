"""Find the class that a class path names, and its arguments."""

import importlib
import inspect
import re
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from descent.config_errors.given import shorten
from descent.config_errors.own_packages import PACKAGES, hidden_folder
from foundation.compat.signatures import Argument, signature_of
from foundation.suggestions import did_you_mean

NO_NAMES = ("true", "false", "yes", "no", "none", "null", "nan", "inf")
"""Values that are no misspelt class, however similar they look."""
OWN_CLASS = " A class of your own is looked up in the working folder."
ROOT = Path(__file__).resolve().parents[2]


def find_class(path: str, classes: list[tuple[type, int]]) -> tuple[Any, str]:
    """Import what a class path names.

    Args:
        path: `package.module.Class`, or the bare name of a class that is already imported.
        classes: The classes of which it must be a subclass.

    Returns:
        The class or function, or `None` and what is wrong; `{preset}` stands where a similar preset belongs.
    """
    if call := re.fullmatch(r"([\w.]+)\(.*\)", path):
        way = f"give the class alone, {call[1]}, and its arguments below init_args"
        return None, f"{shorten(path)} is a call: {way}."
    if "." not in path:
        known = {each.__name__: each for base, _ in classes for each in (base, *subclasses(base))}
        if path in known:
            return known[path], ""
        if path.isidentifier() and path.lower() not in NO_NAMES and (path in sys.modules or find_spec(path)):
            return None, f"{path} is a module: name a class in it, as in {path}.Name."
        hint = did_you_mean(path, known) if "/" not in path and len(path) > 2 else ""
        similar = f" D{hint[1:]}" if hint else "{preset}"
        similar = "" if path.lower() in NO_NAMES else similar
        return None, (
            f"{path or 'an empty text'} is neither a file nor a class path (such as torch.optim.SGD, or mine.Network "
            f"for a class in mine.py in the working folder).{similar}"
        )
    bases = tuple(base for base, _ in classes)
    target, line = _import(path, bases)
    if target is None:
        return None, line
    if not callable(target):
        return None, f"{path} is no class."
    if bases and inspect.isclass(target) and not issubclass(target, bases):
        return None, f"{path} is not a subclass of {' or '.join(base.__name__ for base in bases)}."
    if (bases and inspect.isfunction(target)) or inspect.isbuiltin(target):
        made = getattr(target, "__annotations__", {}).get("return")
        if not (inspect.isclass(made) and issubclass(made, bases)):
            kind = " or ".join(base.__name__ for base in bases)
            return None, f"{path} is a function that is not annotated to return a {kind}."
    return target, ""


def _import(path: str, bases: tuple[type, ...]) -> tuple[Any, str]:
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            hidden = hidden_folder(missing) if _lies_here(missing) else ""
            return None, f"no module named {missing}.{hidden or OWN_CLASS}"
        return None, f"{module_name} imports {missing}, which is not installed."
    except (ValueError, TypeError):
        return None, f"{path} is no class path."
    except Exception as error:  # whatever the user's own module raises
        return None, f"{module_name} {raised(error)}"
    if not hasattr(module, name):
        if not _is_here(module) and (hint := hidden_folder(module_name)):
            return None, f"{module_name} has no {name}.{hint}"
        kinds = {each: getattr(module, each, None) for each in dir(module)}
        known = [each for each, kind in kinds.items() if inspect.isclass(kind) and issubclass(kind, bases or object)]
        hint = did_you_mean(name, known, count=2).removeprefix("did you mean ").removesuffix("?")
        meant = " or ".join(f"{module_name}.{each}" for each in hint.split(" or ") if each)
        otherwise = f" Did you mean {meant}?" if meant else ""
        return None, f"{module_name} has no {name or 'class without a name'}.{otherwise}"
    return getattr(module, name), ""


def _lies_here(module: str) -> bool:
    """Whether the working folder has the file or folder of a module."""
    path = Path.cwd().joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _is_here(module: Any) -> bool:
    """Whether a module was imported from the working folder, and not from Descent in it."""
    file = Path(getattr(module, "__file__", None) or "/")
    return file.is_relative_to(Path.cwd()) and not _is_ours(str(file))


def raised(error: BaseException) -> str:
    """Return `raises KeyError: 'x' (mine.py, line 12).`, with the innermost line of the user's own code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    frames = [frame for frame in frames if not frame.filename.startswith("<") and not _is_ours(frame.filename)]
    here = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        here = f" ({Path(error.filename or '').name}, line {error.lineno})"
    message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"raises {type(error).__name__}: {message}{here}. DESCENT_TRACEBACK=1 shows the traceback."


def _is_ours(file: str) -> bool:
    """Whether a file is one of Descent's own packages; its tests and a user's files beside it are not."""
    path = Path(file)
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in (*PACKAGES, "cli.py")


def subclasses(base: type) -> list[type]:
    """Return every imported subclass of a class, also indirect ones."""
    found: list[type] = list(type.__subclasses__(base))
    for each in found:  # the list grows while it is read
        found += [inner for inner in type.__subclasses__(each) if inner not in found]  # type: ignore[var-annotated]
    return found


def arguments_of(target: Any, classes: list[tuple[type, int]]) -> dict[str, Argument]:
    """Return the arguments of a class that a config may give.

    Args:
        target: The class or function.
        classes: See `find_class`; its second numbers say how many first arguments code gives.
    """
    given_by_code = max((count for base, count in classes if _belongs(target, base)), default=0)
    return signature_of(target, given_by_code)


def _belongs(target: Any, base: type) -> bool:
    return not inspect.isclass(target) or issubclass(target, base)


def name_of(target: Any) -> str:
    """Return a class's name."""
    return str(getattr(target, "__name__", target))
