"""Faults that a GPU would show and a CPU does not, planted on purpose: the suite finds each of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules import ImageClassifier
from tests.phantom_gpu.counting import counted
from tests.phantom_gpu.on_device.fits import fit, rows, task


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Mixed(ImageClassifier):
    """Keep a sum on the CPU, where a buffer would follow the module to its device."""

    sum = torch.zeros(1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = super().training_step(batch, batch_idx)
        self.sum += loss.detach()
        return loss


class Reading(ImageClassifier):
    """Read the loss in every step."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = super().training_step(batch, batch_idx)
        self.last = loss.item()
        return loss


class Pageable(ImageClassifier):
    """Make weights on the CPU in every step, and copy them from there."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = super().training_step(batch, batch_idx)
        return loss + 0 * torch.rand(3).to(self.device, non_blocking=True).sum()


class Early(ImageClassifier):
    """Copy the loss without waiting, and use the copy at once."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = super().training_step(batch, batch_idx)
        copied = loss.detach().to("cpu", non_blocking=True)
        return loss * (0.0 if copied.isnan() else 1.0)


class Unset(nn.Module):
    """Add memory that nobody has written to."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :10] + torch.empty(10, device=images.device)


def planted(kind: type[ImageClassifier]) -> list[str]:
    """Return the arguments of the quickstart with another module in place of its own."""
    return task("quickstart", f"--model={__name__}.{kind.__name__}")


@pytest.mark.phantom_gpu(values=True)
def test_a_mix_of_devices() -> None:
    with pytest.raises(AssertionError, match=r"Mixed raises RuntimeError: .* at least two devices"):
        fit(planted(Mixed))  # it expects exit code 0, and shows what was printed


@pytest.mark.phantom_gpu(values=True)
def test_an_item_in_a_step() -> None:
    with counted() as found:
        fit(planted(Reading))
    assert min(found.waits()) == 1
    assert "stream_sync: tests/phantom_gpu/on_device/test_planted.py" in found.lines()


@pytest.mark.phantom_gpu(values=True)
def test_a_copy_of_pageable_memory() -> None:
    with counted() as found:
        fit(planted(Pageable))
    assert min(found.waits()) == 1
    assert "h2d_pageable: tests/phantom_gpu/on_device/test_planted.py" in found.lines()


@pytest.mark.phantom_gpu(values=True, deferred=True)
def test_a_read_before_a_copy_has_ended() -> None:
    right, wrong = (
        [row["val/loss"] for row in rows(fit(words).run.folder) if "val/loss" in row]
        for words in (task("quickstart"), planted(Early))
    )
    assert right
    assert right != wrong


@pytest.mark.phantom_gpu(values=True, poisoned=True)
def test_memory_that_nobody_has_written_to() -> None:
    assert Unset()(torch.ones(2, 1, 8, 8, device="cuda")).isnan().all()
