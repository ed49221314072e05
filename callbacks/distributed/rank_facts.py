"""What every process of a run must have been given, and where they differ."""

import hashlib
import platform
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

OF_SIZE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def bits_of_weights(module: nn.Module) -> Tensor:
    """Sum of the bits of each parameter taken as integers, int64 `(P,)`; any single change of a weight changes it.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> before = bits_of_weights(layer)
        >>> layer.weight.data[0, 1] *= 1 + 2**-23
        >>> (bits_of_weights(layer) != before).tolist()
        [True, False]
    """
    sums = [_integers(parameter.detach()).sum(dtype=torch.int64) for parameter in module.parameters()]
    return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.int64)


def _integers(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(OF_SIZE[tensor.element_size()])


def bits_of_rate(rates: list[float]) -> Tensor:
    """Bits of numbers, int64 `(N,)`.

    Example:
        >>> bits_of_rate([0.1]).view(torch.float64).item()
        0.1
    """
    return torch.tensor(rates, dtype=torch.float64).view(torch.int64)


OF_TRAINER = ("max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "precision", "num_nodes")
OF_DATA = ("batch_size", "seed", "split_seed", "drop_last", "num_classes")


def facts_of(trainer: Trainer, module: LightningModule) -> dict[str, str]:
    """Text by name: of trainer, network, data, checkpoint and versions."""
    facts = {f"trainer.{name}": getattr(trainer, name, None) for name in OF_TRAINER}
    facts["trainer.callbacks"] = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
    facts["the checkpoint"] = trainer.ckpt_path
    facts["the network"] = _network(module)
    facts |= _data(getattr(trainer, "datamodule", None))
    facts |= {"torch": torch.__version__, "lightning": lightning.__version__}
    facts["python"] = ".".join(platform.python_version_tuple()[:2])
    return {name: str(value) for name, value in facts.items()}


def _network(module: LightningModule) -> str:
    parameters = [(name, tuple(p.shape), p.requires_grad) for name, p in module.named_parameters()]
    count = sum(p.numel() for p in module.parameters())
    return f"{len(parameters)} tensors with {count:,} weights ({_digest(repr(parameters).encode())})"


def _data(data: Any) -> dict[str, Any]:
    facts = {f"data.{name}": getattr(data, name) for name in OF_DATA if hasattr(data, name)}
    for part in ("train", "val", "test"):
        dataset: Any = getattr(data, f"{part}_set", None)
        if hasattr(dataset, "__len__"):
            facts[f"the {part} data"] = f"{len(dataset)} samples{_content(dataset)}"
    return facts


def _content(dataset: Any) -> str:
    """A digest of the classes and of 16 images, where the data set holds images in memory."""
    rows, images = getattr(dataset, "rows", None), getattr(dataset, "images", None)
    if rows is None or images is None or not len(rows):
        return ""
    some = rows[torch.linspace(0, len(rows) - 1, 16).long()]
    seen = (rows, images.targets[rows], images.pixels[some])
    return f" ({_digest(b''.join(tensor.contiguous().numpy().tobytes() for tensor in seen))})"


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=4).hexdigest()


def differences(facts: Sequence[dict[str, str]]) -> list[str]:
    """What is not the same on all ranks, each with the value on rank 0 and on the first that differs.

    Example:
        >>> differences([{"data.seed": "0"}, {"data.seed": "0"}, {"data.seed": "1"}])
        ['data.seed is 0 on rank 0, 1 on rank 2']
    """
    names = dict.fromkeys(name for own in facts for name in own)
    found = []
    for name in names:
        first = facts[0].get(name, "not given")
        other = next((rank for rank, own in enumerate(facts) if own.get(name, "not given") != first), None)
        if other is not None:
            found.append(f"{name} is {first} on rank 0, {facts[other].get(name, 'not given')} on rank {other}")
    return found
