"""Candidates for the last word of a `descent` command line, found without importing torch."""

import ast
import importlib.util
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from descent.commands.parser import options_in
from descent.commands.show.show import SUBJECTS
from descent.commands.table import LIGHT, commands
from descent.presets import kinds, names, shipped
from descent.training.help import HELP

ROOT = Path(__file__).parents[2]
PARTS = {"network": "networks/", "loss": "losses/", "optimizer": "optimizers/", "scheduler": "schedulers/"}
VALUES = {
    "--trainer.precision": ["32-true", "16-mixed", "bf16-mixed"],
    "--trainer.accelerator": ["auto", "cpu", "gpu"],
    "--trainer.gradient_clip_algorithm": ["norm", "value"],
    "--checkpoint.mode": ["min", "max"],
    "--mode": ["exponential", "linear"],
    "--method": ["short_runs", "nine_tenths", "steepest", "valley", "minimum_tenth"],
    "--to": ["onnx", "torch"],
    "--input": ["nhwc_uint8", "nchw_float"],
    "--dtype": ["float32", "float16", "int8"],
    "--temperature": ["fitted"],
}
ANY_FILE = ("",)


def candidates(words: list[str]) -> list[str]:
    """Return what the last word can be completed to.

    Args:
        words: The words after `descent`; the last one is unfinished, perhaps empty. A shell may have split
            `--key=value` into three words.
    """
    *before, typed = words
    if before and (before[-1] == "=" or typed == "="):
        before, typed = (before[:-1], typed) if before[-1] == "=" else (before, "")
    elif before and typed.startswith("-") and "=" in typed:
        key, _, typed = typed.partition("=")
        before.append(key)
    return sorted({_up_to_dot(word, typed) for word in _possible(before, typed) if word.startswith(typed)})


def _possible(before: list[str], typed: str) -> Iterable[str]:
    if not before:
        return [*commands(), "--help"]
    command = before[0].replace("-", "_")
    if command == "show" and before[1:2] == ["schedule"]:
        command = "show_schedule"
    if len(before) > 1 and before[-1].startswith("-") and (values := _values(before[-1], command, typed)) is not None:
        return values
    return options(command, before) if typed.startswith("-") else _positional(command, typed)


def _up_to_dot(word: str, typed: str) -> str:
    """Cut a dotted option at its next dot: seventy options begin with --trainer."""
    if not word.startswith("--") or typed == word:
        return word
    end = word.find(".", len(typed))
    return word[: end + 1] if end >= 0 else word


def _values(option: str, command: str, typed: str) -> list[str] | None:
    """Values of an option; `None` where they are not known or the option has none."""
    if option in ("-c", "--config"):
        study = command == "compare"
        return [f"configs/{n}" for n in names() if (n.startswith("studies/") if study else "/" not in n)] + files(typed)
    if option == "--to" and command == "embed":
        return files(typed, ANY_FILE)
    if option in VALUES:
        return VALUES[option]
    kind = {"--data": "data/", "--trainer.callbacks": "callbacks/"}.get(option.removesuffix("+"))
    kind = kind or PARTS.get(option.removeprefix("--model."))
    if kind is not None:
        return [name for name in names() if name.startswith(kind)] + files(typed)
    return files(typed, ANY_FILE) if option in ("--ckpt_path", "--images", "--out", "--data.root") else None


def _positional(command: str, typed: str) -> list[str]:
    choices = {"show": SUBJECTS, "presets": kinds(), "completion": ["bash", "zsh"]}
    return choices.get(command) or (files(typed, ANY_FILE) if command in ("inspect", "replay") else [])


def files(typed: str, endings: tuple[str, ...] = (".yaml", ".yml")) -> list[str]:
    """Return folders, and files with one of the endings, in the folder that the typed path names."""
    folder = Path(typed).expanduser() if typed.endswith("/") else Path(typed or ".").expanduser().parent
    if not folder.is_dir():
        return []
    start = typed[: typed.rfind("/") + 1]
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    found = [f"{start}{entry.name}/" for entry in entries if entry.is_dir()]
    return found + [f"{start}{entry.name}" for entry in entries if entry.is_file() and entry.name.endswith(endings)]


def options(command: str, before: list[str]) -> list[str]:
    """Return the options of a command, with the arguments of the presets that the earlier words name."""
    if command not in HELP:
        module = LIGHT.get(command)
        source = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8") if module else ""
        return [*options_in(source), "--help"]
    found = {f"--trainer.{name}" for name in arguments("lightning", "pytorch/trainer/trainer.py", "Trainer")}
    found |= {f"--checkpoint.{name}" for name in ("monitor", "mode", "save_top_k", "every_n_train_steps")}
    found |= {f"--model.{part}" for part in PARTS} | {"--config", "--data", "--data.help", "--help"}
    found |= {f"--{part}.{name}" for part, spec in chosen(before).items() for name in spec}
    return sorted(found | set(options_in(HELP[command])) - {"--trainer"})


def arguments(package: str, file: str, name: str) -> list[str]:
    """Return the constructor's arguments of a class, read from its source."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    owner = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    init = next(node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return [argument.arg for argument in (*init.args.args, *init.args.kwonlyargs) if argument.arg != "self"]


def chosen(words: list[str]) -> dict[str, dict[str, Any]]:
    """Return the arguments that the named presets set, by part (`model.optimizer`, `data`); later words win."""
    found: dict[str, dict[str, Any]] = {}
    flat = [part for word in words for part in (word.split("=", 1) if word.startswith("-") else [word])]
    for key, value in pairwise(flat):
        if key in ("-c", "--config"):
            content = _read(value)
            model = content.get("model") or {}
            parts = {f"model.{n}": v for n, v in (model.get("init_args") or {}).items() if n in PARTS}
            parts["data"] = content.get("data")
            found |= {name: _init_args(spec) for name, spec in parts.items() if spec}
        elif key.lstrip("-") in ("data", *(f"model.{part}" for part in PARTS)):
            found[key.lstrip("-")] = _init_args(value)
    return found


def _init_args(spec: Any) -> dict[str, Any]:
    content = _read(spec) if isinstance(spec, str) else spec
    return content.get("init_args") or {} if isinstance(content, dict) else {}


def _read(path: str) -> dict[str, Any]:
    import yaml

    file = Path(path) if Path(path).is_file() else shipped(path)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file is not None else None
    except (OSError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
