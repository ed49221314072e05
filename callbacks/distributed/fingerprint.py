"""What must be equal on all ranks of a run: settings, data and the bits of weights and learning rates."""

import hashlib
import platform
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes
TRAINER_SETTINGS = ("max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "precision", "num_nodes")
DATA_SETTINGS = ("batch_size", "seed", "split_seed", "drop_last", "num_classes")


@torch.no_grad()
def weight_checksums(module: nn.Module) -> Tensor:
    """Sum the bits of each parameter, read as integers, int64 `(P,)`; changing one weight changes its sum.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> before = weight_checksums(layer)
        >>> layer.weight.data[0, 1] *= 1 + 2**-23
        >>> (weight_checksums(layer) != before).tolist()
        [True, False]
    """
    sums = [_as_integers(parameter.detach()).sum(dtype=torch.int64) for parameter in module.parameters()]
    return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.int64)


def _as_integers(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(INTEGERS[tensor.element_size()])


def float_bits(numbers: list[float]) -> Tensor:
    """Return the bits of numbers, int64 `(N,)`.

    Example:
        >>> float_bits([0.1]).view(torch.float64).item()
        0.1
    """
    return torch.tensor(numbers, dtype=torch.float64).view(torch.int64)


def run_settings(trainer: Trainer, module: LightningModule) -> dict[str, str]:
    """Return the settings of trainer, network, data, checkpoint and versions as text, by name."""
    settings = {f"trainer.{name}": getattr(trainer, name, None) for name in TRAINER_SETTINGS}
    settings["trainer.callbacks"] = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
    settings["the checkpoint"] = trainer.ckpt_path
    settings["the network"] = _network(module)
    settings |= _data(getattr(trainer, "datamodule", None))
    settings |= {"torch": torch.__version__, "lightning": lightning.__version__}
    settings["python"] = ".".join(platform.python_version_tuple()[:2])
    return {name: str(value) for name, value in settings.items()}


def _network(module: LightningModule) -> str:
    parameters = [(name, tuple(p.shape), p.requires_grad) for name, p in module.named_parameters()]
    count = sum(p.numel() for p in module.parameters())
    return f"{len(parameters)} tensors with {count:,} weights ({_digest(repr(parameters).encode())})"


def _data(data: Any) -> dict[str, Any]:
    settings = {f"data.{name}": getattr(data, name) for name in DATA_SETTINGS if hasattr(data, name)}
    for part in ("train", "val", "test"):
        dataset: Any = getattr(data, f"{part}_set", None)
        if hasattr(dataset, "__len__"):
            settings[f"the {part} data"] = f"{len(dataset)} samples{_content(dataset)}"
    return settings


def _content(dataset: Any) -> str:
    """Return a digest of the classes and of 16 images, if the data set holds images in memory."""
    rows, images = getattr(dataset, "rows", None), getattr(dataset, "images", None)
    if rows is None or images is None or not len(rows):
        return ""
    sampled = rows[torch.linspace(0, len(rows) - 1, 16).long()]
    tensors = (rows, images.targets[rows], images.pixels[sampled])
    return f" ({_digest(b''.join(tensor.contiguous().numpy().tobytes() for tensor in tensors))})"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=4).hexdigest()


def differences(settings: Sequence[dict[str, str]]) -> list[str]:
    """Describe what differs between ranks: the value on rank 0 and on the first rank with another one.

    Args:
        settings: Those of each rank.

    Example:
        >>> differences([{"data.seed": "0"}, {"data.seed": "0"}, {"data.seed": "1"}])
        ['data.seed is 0 on rank 0, 1 on rank 2']
    """
    found = []
    for name in dict.fromkeys(name for own in settings for name in own):
        values = [own.get(name, "not given") for own in settings]
        other = next((rank for rank, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            found.append(f"{name} is {values[0]} on rank 0, {values[other]} on rank {other}")
    return found
