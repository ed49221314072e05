"""Match the weights of a file with those of a network: prefixes of names, and a head for other classes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lightning_modules.weights.mismatch import COMPILED, describe_mismatch, shape_of

PREFIX_DEPTH = 3  # parts of a name that a file or a network may have before the names of the other
COUNTER = "num_batches_tracked"  # of batch norm; files from before torch 0.4.1 lack it, and nothing reads it


@dataclass(frozen=True)
class Match:
    """How the weights of a file fit a network.

    Args:
        taken: Tensors of the file by their names in the network.
        new: Names in the network that keep their initial values.
        left: Names in the file, without its prefix, that the network lacks or has with another shape.
        outside: Names in the file that belong to no network, such as buffers of the loss.
        mismatch: What does not fit, beside the head; empty if all fits.
        by_order: Whether the names differ, and the tensors were matched by their order.
    """

    taken: dict[str, Tensor]
    new: list[str]
    left: list[str]
    outside: list[str]
    mismatch: str
    by_order: bool = False


def match(state: Mapping[str, Tensor], own: Mapping[str, Any]) -> Match:
    """Match the tensors of a file with a network's.

    The names are those of the network, of a module around it (`network.conv.weight` in a checkpoint), or of a module in
    it (timm's own names). The head is the last layer of both: it may have another number of classes, or be missing.
    Where most names differ, as those of another library do, all tensors must be of the same kinds and shapes in the
    same order.

    Args:
        state: Of the file, in its order.
        own: The network's own `state_dict()`.

    Example:
        >>> import torch
        >>> file = {"net.0.weight": torch.zeros(4, 2), "net.1.bias": torch.zeros(9)}
        >>> found = match(file, {"0.weight": torch.zeros(4, 2), "1.bias": torch.zeros(3)})
        >>> list(found.taken), found.new, found.left, found.mismatch
        (['0.weight'], ['1.bias'], ['1.bias'], '')
    """
    plain = {name.replace(COMPILED, ""): name for name in own}  # as the file's names → as the network's
    file = {name.replace(COMPILED, ""): value for name, value in state.items()}
    theirs, ours = _prefixes(list(file), list(plain))
    renamed: dict[str, Any] = {}
    if 2 * sum(ours + name.removeprefix(theirs) in plain for name in file) < len(plain):
        renamed = renamed_by_order(file, {name: own[plain[name]] for name in plain})
    if renamed:
        file, theirs, ours = renamed, "", ""
    named = {ours + name.removeprefix(theirs): value for name, value in file.items() if name.startswith(theirs)}
    taken = {n: value for n, value in named.items() if n in plain and shape_of(value) == shape_of(own[plain[n]])}
    new = [name for name in plain if name not in taken and not name.endswith(COUNTER)]
    left = [name for name in named if name not in taken and not name.endswith(COUNTER)]
    shapes = {name: own[plain[name]] for name in plain}
    mismatch = ""
    if not _is_head(new, left, named, shapes):
        mismatch = describe_mismatch(
            {name: value for name, value in named.items() if not name.endswith(COUNTER)},
            {name: value for name, value in shapes.items() if not name.endswith(COUNTER)},
        ).replace("in the checkpoint", "in the file")
    outside = [name for name in file if not name.startswith(theirs)]
    return Match({plain[n]: value for n, value in taken.items()}, new, left, outside, mismatch, bool(renamed))


def renamed_by_order(file: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's tensors by the names of a network that has the same layers under other names, else nothing.

    Tensor by tensor, the last part of the name (weight, bias, running_mean) and the shape must be the same; that of the
    last layer may have another number of outputs.

    Example:
        >>> import torch
        >>> file = {"_conv.weight": torch.zeros(4, 2), "_fc.bias": torch.zeros(9)}
        >>> list(renamed_by_order(file, {"stem.weight": torch.zeros(4, 2), "head.bias": torch.zeros(3)}))
        ['stem.weight', 'head.bias']
    """
    theirs = [name for name in file if not name.endswith(COUNTER)]
    ours = [name for name in own if not name.endswith(COUNTER)]
    if len(theirs) != len(ours):
        return {}
    head = ours[-1].rpartition(".")[0]
    for a, b in zip(theirs, ours, strict=True):
        first = 1 if b.rpartition(".")[0] == head else 0
        if a.rpartition(".")[2] != b.rpartition(".")[2] or shape_of(file[a])[first:] != shape_of(own[b])[first:]:
            return {}
    return {b: file[a] for a, b in zip(theirs, ours, strict=True)}


def _is_head(new: list[str], left: list[str], file: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether all that differs is the last layer of the network and of the file."""
    resized = [name for name in new if name in file]
    sizes = {(shape_of(file[n])[:1], shape_of(own[n])[:1]) for n in resized}
    same_inputs = all(shape_of(file[n])[1:] == shape_of(own[n])[1:] for n in resized)
    # A layer in the middle has a next one, whose inputs would differ too.
    widths_differ_at_the_end = same_inputs and len(sizes) <= 1
    missing, extra = [n for n in new if n not in file], [n for n in left if n not in own]
    return widths_differ_at_the_end and _last_layer(missing, own) and _last_layer(extra, file)


def _last_layer(names: list[str], of: Iterable[str]) -> bool:
    """Whether names are of the last layer in a state, or there are none."""
    layers = {name.rpartition(".")[0] for name in names}
    return not layers or layers == {list(of)[-1].rpartition(".")[0]}


def _prefixes(theirs: list[str], ours: list[str]) -> tuple[str, str]:
    """Return the prefixes of a file's and a network's names with which most names are the same; short ones first."""
    own = set(ours)

    def common(pair: tuple[str, str]) -> int:
        return sum(pair[1] + name.removeprefix(pair[0]) in own for name in theirs if name.startswith(pair[0]))

    pairs = [(p, q) for p in _candidates(theirs) for q in _candidates(ours) if not p or not q]
    return max(pairs, key=lambda pair: (common(pair), -len(pair[0]) - len(pair[1])))


def _candidates(names: list[str]) -> list[str]:
    """List prefixes that at least half of the names have."""
    counts: dict[str, int] = {"": len(names)}
    for name in names:
        parts = name.split(".")
        for depth in range(1, min(PREFIX_DEPTH, len(parts) - 1) + 1):
            prefix = ".".join(parts[:depth]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    return [prefix for prefix, count in counts.items() if 2 * count >= len(names)]
