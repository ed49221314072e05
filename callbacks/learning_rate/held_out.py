"""Judge a short training on batches that it was not trained on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor

from callbacks.non_finite.values import tensors_in
from foundation.compat.torch import is_batch_norm
from lightning_modules.optimizers.schedule_free import schedule_free

MOST_BATCHES, ENOUGH_SAMPLES = 8, 256


def held_out_batches(trainer: Trainer, module: LightningModule, like: Any) -> tuple[list[Any], bool]:
    """Return some batches of the validation data, else of the training data, and whether they are of the former.

    Args:
        trainer: Of a fit that has begun.
        module: Its module.
        like: A training batch, on the device; validation batches of another form could not be given to `training_step`.
    """
    data: Any = getattr(trainer, "datamodule", None)
    for source in (data, module):
        if source is not None and is_overridden("val_dataloader", source, _base(source)):
            loaders = source.val_dataloader()
            loader = loaders[0] if isinstance(loaders, (list, tuple)) else loaders
            batches = _some(loader)
            with _evaluating(trainer, module):
                alike = bool(batches) and _form(_moved(trainer, module, batches[0])) == _form(like)
            if alike:
                return batches, True
    return _some(trainer.train_dataloader), False


def _base(source: Any) -> type:
    return LightningDataModule if isinstance(source, LightningDataModule) else LightningModule


def _some(loader: Any) -> list[Any]:
    batches, samples = [], 0
    for batch in islice(iter(loader), MOST_BATCHES):
        batches.append(batch)
        samples += next((len(tensor) for tensor in tensors_in(batch) if tensor.ndim), 0)
        if samples >= ENOUGH_SAMPLES:
            break
    return batches


def _moved(trainer: Trainer, module: LightningModule, batch: Any) -> Any:
    return trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(batch, module.device))


def _form(batch: Any) -> Any:
    if isinstance(batch, dict):
        return sorted(map(str, batch))
    return (type(batch), len(batch)) if isinstance(batch, (list, tuple)) else type(batch)


def held_out_loss(trainer: Trainer, module: LightningModule, batches: list[Any]) -> float:
    """Return the mean loss over the batches, and over all processes.

    Dropout is off. Batch norm takes the statistics of each batch: its running means lag behind a short training.
    """
    losses = []
    with _evaluating(trainer, module), torch.no_grad():
        for number, batch in enumerate(batches):
            moved = _moved(trainer, module, batch)
            with trainer.precision_plugin.train_step_context():
                output = _step(module, moved, number)
            loss = output["loss"] if isinstance(output, Mapping) else output
            if loss is not None:  # the module skips this batch
                losses.append(loss.detach().float().reshape(()))
    mean: Tensor = torch.stack(losses).mean() if losses else torch.tensor(float("inf"), device=module.device)
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
    return float(mean)


def _step(module: LightningModule, batch: Any, number: int) -> Any:
    """Call `training_step` with the arguments that it takes, by Lightning's own rule."""
    step = module.training_step
    if is_param_in_hook_signature(step, "dataloader_iter", explicit=True):
        return step(iter([(batch, number, 0)]))
    return step(batch, number) if is_param_in_hook_signature(step, "batch_idx", min_args=2) else step(batch)


@contextmanager
def _evaluating(trainer: Trainer, module: LightningModule) -> Iterator[None]:
    """Let module, data and a schedule-free optimizer evaluate, then train again."""
    for optimizer in filter(schedule_free, trainer.optimizers):
        optimizer.eval()  # type: ignore[attr-defined]
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    norms: list[Any] = [each for each, training in modes if training and is_batch_norm(each)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 0.0  # the running statistics stay
        norm.num_batches_tracked = None
    trainer.validating = True  # data modules do not augment then
    try:
        yield
    finally:
        trainer.training = True
        for each, training in modes:
            each.training = training
        for norm, (momentum, tracked) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
        for optimizer in filter(schedule_free, trainer.optimizers):
            optimizer.train()  # type: ignore[attr-defined]
