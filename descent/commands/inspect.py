"""`descent inspect`: what a checkpoint contains and whether it is intact, read without running its code."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descent.commands.parser import CommandParser, print_json
from descent.training.mistakes import mistakes_in_one_line
from foundation.terminal.folding import fitted, terminal_width

if TYPE_CHECKING:
    from torch import Tensor

USAGE = """\
usage: descent inspect CHECKPOINT [options]

Verifies a checkpoint and prints what it contains: position, metrics, versions, state and layers.
No code in the file is run.

  CHECKPOINT  a file, a run's folder (its best checkpoint) or an experiment's (its newest run)
  --layers    all layers, not only the first 30
  --config    print the config that it was trained with, and nothing else
  --json      print what the checkpoint says about itself as JSON, for programs
"""
SHOWN_LAYERS = 30
CONTENTS = {
    "optimizer_states": "optimizer",
    "lr_schedulers": "schedules",
    "MixedPrecision": "gradient scaler",
    "averaging_state": "averaged weights",
    "callbacks": "callbacks",
    "loops": "loops",
    "exact_resume": "sums of the unfinished epoch",
}


def main(args: list[str]) -> None:
    """Print what a checkpoint contains; `args` are the words after `descent inspect`."""
    parser = CommandParser("inspect", USAGE)
    parser.add_argument("checkpoint")
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--config", action="store_true")
    parser.add_json()
    options = parser.parse_args(args)
    with mistakes_in_one_line("stopped."):
        _inspect(options)


def _inspect(options: argparse.Namespace) -> None:
    from callbacks.checkpointing.metadata import KEY
    from callbacks.checkpointing.reading import read_checkpoint
    from descent.runs.folder import resolve_checkpoint

    path = resolve_checkpoint(options.checkpoint, "best", None, "CHECKPOINT")
    checkpoint = read_checkpoint(path)
    about: dict[str, Any] = dict(checkpoint.get(KEY, {}))
    if options.config:
        print(about.get("config") or f"# {path} holds no config")
    elif options.json:
        print_json(summary(checkpoint, about))
    else:
        every = None if options.layers else SHOWN_LAYERS
        sections = _file(path), _position(checkpoint, about), _origin(about), _contents(checkpoint)
        lines = [fitted(line) for section in sections for line in section]
        print("\n".join([*lines, *_layers(checkpoint, every)]))


def summary(checkpoint: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint says about itself, as plain values."""
    layers = {name: list(tensor.shape) for name, tensor in layers_of(checkpoint).items()}
    position = {"epoch": checkpoint.get("epoch"), "global_step": checkpoint.get("global_step")}
    return position | dict(about) | {"layers": layers}


def layers_of(checkpoint: Mapping[str, Any]) -> "dict[str, Tensor]":
    """Return the tensors of the network by name."""
    from torch import Tensor

    return {str(name): value for name, value in checkpoint["state_dict"].items() if isinstance(value, Tensor)}


def _file(path: Path) -> list[str]:
    from callbacks.checkpointing.seal import seal_of

    with path.open("rb") as file:
        seal = seal_of(file)
    verified = "checksums of its records are right; it was not written by descent and carries no hash"
    if seal is not None:
        verified = f"sha256 {seal.digest.hex()[:16]}… and size are those it was saved with"
    return [f"file        {path}, {path.stat().st_size:,} bytes", f"verified    {verified}"]


def _position(checkpoint: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    if "global_step" not in checkpoint:
        return []
    try:
        done = int(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"])
        batches = f", {done} of {about['batches']} batches done"
    except (KeyError, TypeError):
        batches = ""
    epoch = checkpoint.get("epoch")
    shown = epoch + 1 if isinstance(epoch, int) else "not known"
    return [f"position    {checkpoint['global_step']:,} steps, epoch {shown}{batches}"]


def _origin(about: Mapping[str, Any]) -> list[str]:
    """When, where and with what the checkpoint was saved; nothing for a file of another program."""
    if not about:
        return []
    epochs = about.get("metric_epochs", {})
    newest = max(epochs.values(), default=0)
    metrics = ", ".join(
        f"{name} {value:.6g}" + (f" (of epoch {epochs[name] + 1})" if epochs.get(name, newest) < newest else "")
        for name, value in sorted(about["metrics"].items())
    )
    scores = ", ".join(f"{name} {score:.6g}" for name, score in about["scores"].items())
    git = about["git"]
    processes = "1 process" if about["processes"] == 1 else f"{about['processes']} processes"
    commit = f"; commit {git['commit'][:12]}{', with changes' if git['changed'] else ''}" if git else ""
    return [
        f"saved       {about['saved']} on {about['host']}",
        f"metrics     {metrics or 'none yet'}",
        f"best        {about['monitor']} ({about['mode']}): {scores or 'none yet'}",
        f"made with   {', '.join(f'{name} {version}' for name, version in about['versions'].items())}{commit}",
        f"ran on      {about['device']}, {processes}, precision {about['precision']}",
    ]


def _contents(checkpoint: Mapping[str, Any]) -> list[str]:
    found = [text for key, text in CONTENTS.items() if checkpoint.get(key)]
    data = [name for name, value in checkpoint.items() if isinstance(value, dict) and "position" in value]
    found += [f"position in the data ({name})" for name in data]
    return [f"holds       {', '.join(found) or 'weights alone'}"]


def _layers(checkpoint: Mapping[str, Any], limit: int | None) -> list[str]:
    layers = layers_of(checkpoint)
    shown = list(layers.items())[:limit]
    types = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in layers.values())
    usual = max(types, key=lambda name: types[name], default="")
    said = f", {usual}{' unless stated' if len(types) > 1 else ''}" if usual else ""
    values = sum(tensor.numel() for tensor in layers.values())
    rows = [(name, _shape(tensor, usual)) for name, tensor in shown]
    more = len(layers) - len(shown)
    return [
        f"layers      {len(layers)} tensors, {values:,} values{said}",
        *table_of_layers(rows, terminal_width()),
        *([f"  … and {more} more: --layers"] if more else []),
    ]


def _shape(tensor: "Tensor", usual: str) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{tuple(tensor.shape)}{'' if kind == usual else f' {kind}'}"


def table_of_layers(rows: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """Return names and shapes side by side, or each shape below its name where the terminal is too narrow.

    Example:
        >>> table_of_layers([("head.weight", "(10, 128)"), ("head.bias", "(10,)")], 80)
        ['  head.weight  (10, 128)', '  head.bias    (10,)']
        >>> table_of_layers([("head.weight", "(10, 128)")], 20)
        ['  head.weight', '    (10, 128)']
    """
    longest = max((len(name) for name, _ in rows), default=0)
    lines = [f"  {name:<{longest}}  {shape}" for name, shape in rows]
    if width is None or max(map(len, lines), default=0) <= width:
        return lines
    return [line for name, shape in rows for line in (f"  {name}", f"    {shape}")]
