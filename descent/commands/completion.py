"""`descent completion bash|zsh`: a script that makes the shell complete commands, options and presets.

For bash, once, in ~/.bashrc:   eval "$(descent completion bash)"
For zsh, in ~/.zshrc:           eval "$(descent completion zsh)"
"""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from descent.commands.parser import LightParser
from descent.presets import names, shipped
from descent.training.help import HELP

PARTS = {"network": "networks/", "loss": "losses/", "optimizer": "optimizers/", "scheduler": "schedulers/"}
VALUES = {
    "--trainer.precision": ["32-true", "16-mixed", "bf16-mixed"],
    "--trainer.accelerator": ["auto", "cpu", "gpu"],
    "--trainer.gradient_clip_algorithm": ["norm", "value"],
    "--checkpoint.mode": ["min", "max"],
    "--mode": ["exponential", "linear"],
    "--method": ["nine_tenths", "steepest", "valley", "minimum_tenth"],
    "--to": ["onnx", "torch"],
}


def completions(words: list[str]) -> list[str]:
    """Words that can take the place of the last one.

    Args:
        words: What stands after `descent`; the last one is unfinished, maybe empty. A shell may have parted
            `--key=value` into three.
    """
    *before, typed = words
    if before and (before[-1] == "=" or typed == "="):
        before, typed = (before[:-1], typed) if before[-1] == "=" else (before, "")
    elif before and typed.startswith("-") and "=" in typed:
        key, _, typed = typed.partition("=")
        before.append(key)
    known = _candidates(before, typed)
    return sorted({_one_level(word, typed) for word in known if word.startswith(typed)})


def _candidates(before: list[str], typed: str) -> Iterable[str]:
    from descent.commands.table import commands

    if not before:
        return [*commands(), "--help"]
    command = before[0].replace("-", "_")
    if command == "show" and before[1:2] == ["schedule"]:
        command = "show_schedule"
    if len(before) > 1 and before[-1].startswith("-") and (found := _values(before[-1], command, typed)) is not None:
        return found
    return options(command, before) if typed.startswith("-") else _words(command, typed)


def _one_level(word: str, typed: str) -> str:
    """Of dotted options only as far as the next dot: there are seventy that begin with --trainer."""
    if not word.startswith("--") or typed == word:
        return word
    end = word.find(".", len(typed))
    return word[: end + 1] if end >= 0 else word


def _values(option: str, command: str, typed: str) -> list[str] | None:
    """What the option takes; `None` where that is not known or it takes nothing."""
    if option in ("-c", "--config"):
        study = command == "compare"
        return [f"configs/{n}" for n in names() if (n.startswith("studies/") if study else "/" not in n)] + files(typed)
    if option in VALUES:
        return VALUES[option]
    kind = {"--data": "data/", "--trainer.callbacks": "callbacks/"}.get(option.removesuffix("+"))
    kind = kind or PARTS.get(option.removeprefix("--model."))
    if kind is not None:
        return [name for name in names() if name.startswith(kind)] + files(typed)
    return files(typed, ("",)) if option in ("--ckpt_path", "--images", "--out", "--data.root") else None


def _words(command: str, typed: str) -> list[str]:
    """What stands without an option before it."""
    if command == "show":
        from descent.commands.table import SUBJECTS

        return list(SUBJECTS)
    if command == "presets":
        from descent.commands.presets import kinds

        return kinds()
    if command == "completion":
        return ["bash", "zsh"]
    return files(typed, ("",)) if command in ("inspect", "replay") else []


def files(typed: str, endings: tuple[str, ...] = (".yaml", ".yml")) -> list[str]:
    """Files of those endings that begin as typed, and folders."""
    folder = Path(typed).expanduser() if typed.endswith("/") else Path(typed or ".").expanduser().parent
    if not folder.is_dir():
        return []
    lead = typed[: typed.rfind("/") + 1]
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    found = [f"{lead}{entry.name}/" for entry in entries if entry.is_dir()]
    return found + [f"{lead}{entry.name}" for entry in entries if entry.is_file() and entry.name.endswith(endings)]


def options(command: str, before: list[str]) -> list[str]:
    """Options of a command, those of the parts that the words before name among them."""
    if command not in HELP:
        return [*mentioned(Path(__file__).with_name(f"{_module(command)}.py").read_text(encoding="utf-8")), "--help"]
    found = {f"--trainer.{name}" for name in arguments("lightning", "pytorch/trainer/trainer.py", "Trainer")}
    found |= {f"--checkpoint.{name}" for name in ("monitor", "mode", "save_top_k", "every_n_train_steps")}
    found |= {f"--model.{part}" for part in PARTS} | {"--config", "--data", "--data.help", "--help"}
    for part, spec in chosen(before).items():
        found |= {f"--{part}.{name}" for name in spec}
    return sorted(found | set(mentioned(HELP[command])) - {"--trainer"})


def _module(command: str) -> str:
    from descent.commands.table import LIGHT

    return LIGHT.get(command, "descent.training.help").rpartition(".")[2]


def mentioned(text: str) -> list[str]:
    """Options that a help text or an argparse call names."""
    return sorted(set(re.findall(r'(?:^\s+|[\s"(,])(--[a-z][a-z_.]*[a-z])\b', text, re.MULTILINE)))


def arguments(package: str, file: str, name: str) -> list[str]:
    """Arguments of a class, read from its source."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    made = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    init = next(node for node in made.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return [argument.arg for argument in (*init.args.args, *init.args.kwonlyargs) if argument.arg != "self"]


def chosen(words: list[str]) -> dict[str, dict[str, Any]]:
    """Arguments that the presets name, by what takes them: `model.optimizer`, `data`; later words win."""
    found: dict[str, dict[str, Any]] = {}
    flat = [part for word in words for part in (word.split("=", 1) if word.startswith("-") else [word])]
    for key, value in pairwise(flat):
        if key in ("-c", "--config"):
            content = _read(value)
            model = content.get("model") or {}
            parts = {f"model.{n}": v for n, v in (model.get("init_args") or {}).items() if n in PARTS}
            parts["data"] = content.get("data")
            found |= {name: _arguments_of(spec) for name, spec in parts.items() if spec}
        elif key.lstrip("-") in ("data", *(f"model.{part}" for part in PARTS)):
            found[key.lstrip("-")] = _arguments_of(value)
    return found


def _arguments_of(spec: Any) -> dict[str, Any]:
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


BASH = """\
_descent() {
    local IFS=$'\\n'
    COMPREPLY=($(descent completion -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[./] ]] && compopt -o nospace
}
complete -F _descent descent
"""
ZSH = """\
_descent() {
    local -a found open closed
    found=("${(@f)$(descent completion -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    open=("${(@M)found:#*[./]}")
    closed=("${(@)found:#*[./]}")
    compset -P '*='
    (( ${#open} )) && compadd -S '' -- "${open[@]}"
    (( ${#closed} )) && compadd -- "${closed[@]}"
}
compdef _descent descent
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH}


def main(args: list[str]) -> None:
    """Print the script of a shell, or, as the scripts ask, what can stand at the end of a command line.

    Args:
        args: `["bash"]` or `["zsh"]`; or `--` and the words after `descent`, the last of them unfinished.

    Raises:
        SystemExit: With 2 for another shell.
    """
    if args[:1] == ["--"]:
        sys.stdout.writelines(f"{word}\n" for word in completions(args[1:] or [""]))
        return
    about, _, usage = (__doc__ or "").partition(": ")[2].partition("\n\n")
    parser = LightParser("descent completion", f"Prints {about}", epilog=" ".join(usage.split("\n")))
    parser.add_argument("shell", choices=SCRIPTS)
    print(SCRIPTS[parser.parse_args(args).shell], end="")
