"""Write the reference of commands and presets from help texts and presets; `hooks.py` adds the pages to the site."""

import html
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from descent.commands.presets import summary
from descent.commands.table import LIGHT, TRAINING, commands
from descent.presets import SHIPPED, kinds, names
from descent.training.help import COMMON, HELP, USAGE

HOW = {
    "losses": "--model.loss",
    "optimizers": "--model.optimizer",
    "schedulers": "--model.scheduler",
    "networks": "--model.network",
    "parameter_groups": "--model.parameter_groups",
    "data": "--data",
    "augmentations": "--data.augmentation",
    "pruning": "--data.pruning",
    "callbacks": "--trainer.callbacks+=",
    "strategies": "--trainer.strategy",
    "studies": "descent compare -c",
}
"""The option that takes the presets of a kind."""


def commands_page() -> str:
    """Return a page with the help text of every command."""
    parts = ["# Commands", "Each command prints its part of this page with `--help`.", *_sections(USAGE)]
    parts += [
        "## Options of the commands that have a config",
        f"{_sentence(TRAINING)} have these too.",
        *_sections(COMMON),
    ]
    for command in commands():
        parts += [f"## descent {command}", *_sections(_help(command))]
        if command == "show":
            parts += ["### descent show schedule", *_sections(_help("show-schedule"))]
        if command == "predict":
            images = importlib.import_module("descent.commands.predict").USAGE
            parts += ["### descent predict --images", *_sections(images)]
    return "\n\n".join(parts) + "\n"


def _help(command: str) -> str:
    """Return the help text of a command, e.g. of `find-lr`."""
    key = command.replace("-", "_")
    text: str = HELP[key].removesuffix(COMMON) if key in TRAINING else importlib.import_module(LIGHT[key]).USAGE
    return text


def _sentence(keys: tuple[str, ...]) -> str:
    """Return the names of commands as the subject of a sentence."""
    shown = [f"`{key.replace('show_', 'show ').replace('_', '-')}`" for key in keys]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _sections(text: str) -> Iterator[str]:
    """Yield the usage of a help text as code, its paragraphs as text, its options as a table."""
    for block in text.strip("\n").split("\n\n"):
        heading, _, listed = block.partition("\n")
        if block.startswith("usage:"):
            yield f"```text\n{block}\n```"
        elif heading.endswith(":") and listed.startswith("  "):
            yield from (heading, _options(listed))
        elif block.startswith("  "):
            yield _options(block)
        else:
            yield html.escape(block, quote=False).replace("*", "\\*")


def _options(block: str) -> str:
    r"""Return a table of the options, or commands, of a help text: two columns, at least two spaces apart.

    Example:
        >>> print(_options("  --out FOLDER    where to write\n                  (default: here)"))
        | option | meaning |
        | --- | --- |
        | `--out FOLDER` | where to write (default: here) |
    """
    rows: list[list[str]] = []
    for line in block.splitlines():
        name, _, meaning = re.sub(r"^ {2,6}(?! )(.+?) {2,}(?=\S)", "\\1\t", line).partition("\t")
        if meaning:
            rows.append([name.strip(), meaning])
        elif rows and line.startswith(" " * 12):
            rows[-1][1] += f" {line.strip()}"
        else:
            rows.append([line.strip(), ""])
    cells = [f"| `{name}` | {html.escape(meaning, quote=False)} |".replace("*", "\\*") for name, meaning in rows]
    return "\n".join([f"| {'option' if rows[0][0].startswith('-') else 'word'} | meaning |", "| --- | --- |", *cells])


def presets_page() -> str:
    """Return a page with every preset: what it is, its class and arguments."""
    parts = [
        "# Presets",
        "A preset is a small config with a short name. Choose it with the option of its kind, and set its arguments "
        "with a dot: `--model.optimizer optimizers/adamw.yaml --model.optimizer.lr 0.01`. `descent presets` prints the "
        "list. Copy a preset next to your config to change it; a file there hides the shipped one.",
        "## Whole runs",
        "    descent fit -c configs/NAME.yaml",
        _table([name for name in names() if "/" not in name], "its parts"),
    ]
    for kind in sorted(kinds(), key=lambda kind: (list(HOW).index(kind) if kind in HOW else len(HOW), kind)):
        chosen = f"    {HOW[kind]} {kind}/NAME.yaml".replace("+= ", "+=") if kind in HOW else ""
        parts += [f"## {kind.replace('_', ' ').capitalize()}", chosen]
        heading = {"studies": "candidates"}.get(kind, "class and arguments")
        parts += [_table([name for name in names() if name.startswith(f"{kind}/")], heading)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(presets: list[str], heading: str = "class and arguments") -> str:
    rows = [f"| preset | what it is | {heading} |", "| --- | --- | --- |"]
    for name in presets:
        text = html.escape(summary(name), quote=False).replace("|", "\\|")
        rows.append(f"| `{Path(name).name}` | {text} | {_content(name)} |")
    return "\n".join(rows)


def _content(name: str) -> str:
    """Return a preset's class and arguments in HTML, in one line; of a run its parts, of a study its candidates."""
    held: dict[str, Any] = yaml.safe_load((SHIPPED / name).read_text(encoding="utf-8"))
    if "candidates" in held:
        lines = list(held["candidates"])
    elif "class_path" in held:
        arguments = [f"{key}: {_short(value)}" for key, value in held.get("init_args", {}).items()]
        lines = [f"<code>{html.escape(text)}</code>" for text in (held["class_path"], *arguments)]
    else:
        lines = [f"<code>{html.escape(text)}</code>" for text in _named(held)]
    return f'<span class="arguments">{"<br>".join(lines)}</span>'.replace("|", "&#124;")


def _named(value: Any) -> Iterator[str]:
    """Yield the presets and classes that a config names."""
    if isinstance(value, dict):
        yield from (value["class_path"],) if "class_path" in value else ()
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, str) and value.endswith(".yaml"):
        yield value


def _short(value: Any) -> str:
    """Return a value as it stands in a config, in one line; of a nested class its name."""
    if isinstance(value, dict) and "class_path" in value:
        return f"{value['class_path']} …"
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
    return re.sub(r"\s+", " ", text)


PAGES = {"reference/commands.md": commands_page, "reference/presets.md": presets_page}
"""The generated pages by their place on the site."""
