"""The optimizer steps after which a run validates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def validation_steps(
    batches: int, every: int, accumulation: int, epochs: int, check_every: int | None = 1
) -> Iterator[int]:
    """Yield the optimizer steps after which a run validates.

    Args:
        batches: Training batches in an epoch.
        every: Batches between two validations.
        accumulation: Batches per optimizer step; the last step of an epoch may have fewer.
        epochs: Epochs of the run.
        check_every: Validate in every n-th epoch; with `None`, `every` counts batches over the whole run.

    Example:
        >>> list(validation_steps(batches=10, every=5, accumulation=3, epochs=2))
        [1, 4, 5, 8]
        >>> list(validation_steps(batches=10, every=15, accumulation=1, epochs=3, check_every=None))
        [15, 30]
    """
    per_epoch = math.ceil(batches / accumulation)
    for epoch in range(epochs):
        if check_every is not None and (epoch + 1) % check_every:
            continue
        for batch in range(1, batches + 1):
            counted = batch if check_every is not None else epoch * batches + batch
            if counted % every == 0:
                yield epoch * per_epoch + (per_epoch if batch == batches else batch // accumulation)


def validations_of(trainer: Trainer) -> list[int] | None:
    """Return the optimizer steps after which a run validates, or `None` if they cannot be known in advance.

    That is the case for a loader without a length, a run without an end, and validation at intervals of time.
    """
    batches, every, epochs = trainer.num_training_batches, trainer.val_check_batch, trainer.max_epochs
    if not trainer.enable_validation:
        return []
    if not math.isfinite(batches) or every is None or epochs is None or epochs < 0:
        return None
    accumulation = trainer.accumulate_grad_batches
    check_every = trainer.check_val_every_n_epoch
    found = validation_steps(int(batches), int(every), accumulation, epochs, check_every)
    return [step for step in found if trainer.max_steps == -1 or step <= trainer.max_steps]
