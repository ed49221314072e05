"""A callback that records on what a final run was tested, and which of the test samples it got right."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any, TypedDict

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.base.task import Task

MOST = 300_000
"""Test samples of which the answers are kept: one bit each, in a text that every database takes."""


class Tested(TypedDict):
    """What is stored of the test of a run."""

    samples: int
    """Number of the samples that were tested."""
    shape: list[int]
    """Shape of a sample."""
    digest: str
    """Fingerprint of all inputs, in their order, as the network gets them."""
    targets: str
    """Fingerprint of all targets."""
    right: str | None
    """One bit per sample, 1 for a right answer, as base64; `None` where an answer is not right or wrong."""


class TestRecorder(Callback):
    """Record the test of a run on one device; nothing waits for the device before its end.

    A sample is right if the class that `forward` gives for it is its target. Whether the metric of a study is the share
    of right samples is checked where the answers are used (`unpacked`).

    Attributes:
        tested: The record; `None` if the batches are not pairs of tensors, or there were several processes or loaders.
    """

    __test__ = False  # no class of tests

    def __init__(self) -> None:
        self.tested: Tested | None = None
        self._outputs: list[Any] = []
        self._hook: Any = None
        self._parts: list[tuple[Tensor, Tensor]] = []
        self._right: list[Tensor | None] = []
        self._shape: list[int] = []
        self._usable = True

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to the module's outputs."""
        self._usable = trainer.world_size == 1
        self._hook = pl_module.register_forward_hook(self._note)

    def _note(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._outputs.append(output)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the fingerprints of a batch, and which answers are right."""
        given, self._outputs = self._outputs, []
        pair = batch[:2] if isinstance(batch, (tuple, list)) else ()
        self._usable &= dataloader_idx == 0 and len(pair) == 2 and all(isinstance(part, Tensor) for part in pair)
        if self._usable:
            inputs, target = pair
            self._shape = list(inputs.shape[1:])
            self._parts.append((sums_of_bytes(inputs), sums_of_bytes(target)))
            self._right.append(right_answers(pl_module, given[0], target) if len(given) == 1 else None)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring the record to the host."""
        self._hook.remove()
        if not self._usable or not self._parts:
            return
        digest, targets = (_fingerprint(part) for part in zip(*self._parts, strict=True))
        right = [bits for bits in self._right if bits is not None]
        samples = sum(len(inputs) for inputs, _ in self._parts)
        known = len(right) == len(self._right) and samples <= MOST
        self.tested = {
            "samples": samples,
            "shape": self._shape,
            "digest": digest,
            "targets": targets,
            "right": packed(torch.cat(right).cpu().numpy()) if known else None,
        }


def sums_of_bytes(values: Tensor) -> Tensor:
    """Return the sum of the bytes of each row, int64 `(B,)`: exact, in whatever order a device adds.

    Example:
        >>> sums_of_bytes(torch.tensor([[1, 2], [256, 0]]))
        tensor([3, 1])
    """
    flat = values.detach().contiguous().reshape(len(values), values.numel() // max(len(values), 1))
    return flat.view(torch.uint8).sum(dim=1, dtype=torch.int64)


def _fingerprint(parts: Iterable[Tensor]) -> str:
    return hashlib.blake2b(torch.cat(list(parts)).cpu().numpy().tobytes(), digest_size=6).hexdigest()


def right_answers(module: LightningModule, output: Any, target: Tensor) -> Tensor | None:
    """Tell which samples of a batch are classified rightly, bool `(B,)`; `None` where there are no classes.

    Example:
        >>> right_answers(LightningModule(), torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        tensor([ True, False])
    """
    if not isinstance(output, Tensor) or target.ndim != 1 or target.is_floating_point() or len(output) != len(target):
        return None
    if output.ndim == 2 and output.shape[1] > 1:
        return output.argmax(dim=1) == target
    if not isinstance(module, Task) or (classes := module.prediction_columns(output).get("class")) is None:
        return None
    return classes == target if classes.shape == target.shape else None


def packed(right: NDArray[np.bool_]) -> str:
    """Write answers as text, eight to a byte.

    Example:
        >>> packed(np.array([True, False, True]))
        'oA=='
    """
    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def unpacked(tested: Tested | None, value: float) -> NDArray[np.bool_] | None:
    """Read the answers of a run; `None` if there are none, or if their share of right ones is not the run's metric.

    Args:
        tested: The record of the run.
        value: The metric of the run.
    """
    if tested is None or tested["right"] is None:
        return None
    bits = np.unpackbits(np.frombuffer(base64.b64decode(tested["right"]), dtype=np.uint8), count=tested["samples"])
    return bits.astype(np.bool_) if abs(bits.mean() - value) < 1e-6 else None
