"""`descent inspect CKPT`: what a checkpoint is, whether its bytes are whole, which layers it holds; without code."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from callbacks.checkpointing.metadata import KEY
from callbacks.checkpointing.reading import read_checkpoint
from callbacks.checkpointing.seal import seal_of
from descent.commands.parser import LightParser
from descent.runs.folder import resolve_checkpoint
from descent.training.mistakes import mistakes_in_one_line
from foundation.files import strict_json

SHOWN = 30


def main(args: list[str]) -> None:
    """Print it.

    Args:
        args: What stands on the command line after `descent inspect`.

    Raises:
        SystemExit: With 2 where there is no checkpoint, or one that is damaged or holds code.
    """
    options = _parser().parse_args(args)
    with mistakes_in_one_line():
        path = resolve_checkpoint(options.checkpoint, "best", None)
        checkpoint = read_checkpoint(path)
    if options.config:
        print(checkpoint.get(KEY, {}).get("config") or f"# {path} holds no config")
    elif options.json:
        print(strict_json(summary(checkpoint)))
    else:
        print("\n".join([*_about_file(path), *_about_run(checkpoint), *_about_layers(checkpoint, options.layers)]))


def _parser() -> argparse.ArgumentParser:
    parser = LightParser("descent inspect", "Say what a checkpoint is and verify it.")
    parser.add_argument("checkpoint", help="a file, a run's folder (its best) or an experiment's (its newest run)")
    parser.add_argument("--layers", action="store_true", help=f"all layers, not the first {SHOWN}")
    parser.add_argument("--config", action="store_true", help="the config that it was trained with, and nothing else")
    parser.add_argument("--json", action="store_true", help="what it says of itself, for programs")
    return parser


def summary(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of itself, as plain values."""
    layers = {name: list(tensor.shape) for name, tensor in layers_of(checkpoint)}
    position = {"epoch": checkpoint.get("epoch"), "global_step": checkpoint.get("global_step")}
    return position | dict(checkpoint.get(KEY, {})) | {"layers": layers}


def layers_of(checkpoint: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the network by name."""
    return ((str(name), value) for name, value in checkpoint["state_dict"].items() if isinstance(value, Tensor))


def _about_file(path: Path) -> list[str]:
    with path.open("rb") as file:
        seal = seal_of(file)
    verified = "checksums of its records are right; it was not written by descent and carries no hash"
    if seal is not None:
        verified = f"sha256 {seal.digest.hex()[:16]}… and size are those it was saved with"
    return [f"file        {path}, {path.stat().st_size:,} bytes", f"verified    {verified}"]


def _about_run(checkpoint: Mapping[str, Any]) -> list[str]:
    about: dict[str, Any] = dict(checkpoint.get(KEY, {}))
    lines = []
    if "global_step" in checkpoint:
        done = _batches_done(checkpoint)
        of = f", {done} of {about['batches']} batches of it done" if done is not None and "batches" in about else ""
        lines.append(f"position    step {checkpoint['global_step']}, epoch {checkpoint.get('epoch')} (from 0){of}")
    if about:
        metrics = ", ".join(f"{name} {value:.6g}" for name, value in sorted(about["metrics"].items()))
        scores = ", ".join(f"{name} {score:.6g}" for name, score in about["scores"].items())
        git = about["git"]
        commit = f"; commit {git['commit'][:12]}{', with changes' if git['changed'] else ''}" if git else ""
        lines += [
            f"saved       {about['saved']} on {about['host']}",
            f"metrics     {metrics or 'none yet'}",
            f"best        {about['monitor']} ({about['mode']}): {scores or 'none yet'}",
            f"made with   {', '.join(f'{name} {version}' for name, version in about['versions'].items())}{commit}",
            f"ran on      {about['device']}, {about['processes']} process(es), precision {about['precision']}",
        ]
    return [*lines, f"holds       {', '.join(_contents(checkpoint)) or 'weights alone'}"]


def _batches_done(checkpoint: Mapping[str, Any]) -> int | None:
    try:
        return int(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"])
    except (KeyError, TypeError):
        return None


def _contents(checkpoint: Mapping[str, Any]) -> list[str]:
    names = {
        "optimizer_states": "optimizer",
        "lr_schedulers": "schedules",
        "MixedPrecision": "gradient scaler",
        "averaging_state": "averaged weights",
        "callbacks": "callbacks",
        "loops": "loops",
        "exact_resume": "sums of the open epoch",
    }
    found = [word for key, word in names.items() if checkpoint.get(key)]
    data = [name for name, value in checkpoint.items() if isinstance(value, dict) and "position" in value]
    return [*found, *(f"position in the data ({name})" for name in data)]


def _about_layers(checkpoint: Mapping[str, Any], every: bool) -> list[str]:
    layers = list(layers_of(checkpoint))
    count = sum(tensor.numel() for _, tensor in layers)
    shown = layers if every else layers[:SHOWN]
    width = max((len(name) for name, _ in shown), default=0)
    lines = [f"layers      {len(layers)} tensors, {count:,} values"]
    lines += [
        f"  {name:<{width}}  {tuple(tensor.shape)!s:<18} {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in shown
    ]
    more = len(layers) - len(shown)
    return [*lines, f"  … and {more} more: --layers"] if more else lines
