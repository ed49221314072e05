"""A generative adversarial network: a generator and a discriminator, trained against each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from lightning.pytorch import Callback
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from foundation.compat.lightning import let_ddp_find_unused_parameters, trainer_of
from foundation.counter_random import mix
from foundation.hardware import on_device
from foundation.images import as_bytes
from foundation.loggers import is_logging_step
from lightning_modules.adversarial.centring import Centring
from lightning_modules.adversarial.gan_checks import check_arguments, check_networks, check_trainer_flags
from lightning_modules.adversarial.gan_metrics import BATCH_METRICS, LOSSES, add_chunk, discriminator_metrics
from lightning_modules.adversarial.optimized_network import OptimizedNetwork
from lightning_modules.adversarial.sliced_wasserstein import SlicedWasserstein
from lightning_modules.base.epoch_module import EpochModule
from lightning_modules.base.logged_values import on_host
from lightning_modules.losses.adversarial import AdversarialLoss, NonSaturatingLoss
from lightning_modules.optimizers.clipping import clip_gradients_once, optimized_parameters
from lightning_modules.optimizers.group_table import rates_of
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.step_schedule import ScheduleFactory

GENERATOR, DISCRIMINATOR = 0, 1  # indices of the optimizers


class GAN(EpochModule):
    """Learn to generate images like those of the data, without labels.

    Each batch is one step of the discriminator, on the batch and as many generated images ("fakes"), then one step of
    the generator, on new noise. Only generator steps are counted: in `max_steps`, schedules, checkpoints and logs.
    (Lightning would count the steps of both optimizers.)

    | key | what |
    | --- | --- |
    | `train/generator_loss`, `val/generator_loss` | loss of the generator; not comparable between runs |
    | `train/discriminator_loss`, `val/discriminator_loss` | loss of the discriminator |
    | `train/real_accuracy`, `val/real_accuracy` | share of real images classified as real |
    | `train/fake_accuracy`, `val/fake_accuracy` | share of fakes classified as fake; if both are ½, it is guessing |
    | `val/sliced_wasserstein` | distance of fakes to as many real images, lower is better; see `SlicedWasserstein` |
    | `lr/generator`, `lr/discriminator` | learning rates |

    Args:
        generator: Maps noise `(B, latent_size)` to images `(B, C, H, W)` in [−1, 1]; has an attribute `latent_size`.
        discriminator: Maps images to logits `(B,)`, high for real ones.
        generator_optimizer: Creates the optimizer of the generator.
        discriminator_optimizer: Creates the optimizer of the discriminator.
        loss: The losses of both networks; default non-saturating.
        generator_scheduler: Creates the schedule of the generator; `None` keeps the learning rate.
        discriminator_scheduler: Creates the schedule of the discriminator; `None` keeps the learning rate.
        gradient_clip_val: Bound of each network's gradients, > 0; `None` does not clip. Replaces the trainer's flag,
            which Lightning does not support with several optimizers.
        gradient_clip_algorithm: `norm` or `value`.
        accumulate: Number of chunks that a batch is processed in, ≥ 1: takes the memory of a chunk, and the step of the
            whole batch (batch normalisation sees chunks). Replaces `accumulate_grad_batches`.
        generator_parameter_groups: Weight decay and learning-rate factors per parameter of the generator.
        discriminator_parameter_groups: The same for the discriminator.
        channels_last: See `SupervisedModule`.
        weights: File with weights of both networks that a new run starts from, see `SupervisedModule`.
        weights_strict: See `SupervisedModule`.

    Raises:
        ValueError: An argument is outside its range.

    Reference:
        Goodfellow et al.: Generative adversarial networks, 2014, algorithm 1 with k = 1.
    """

    counted_optimizers = 1
    """How many of the optimizers `trainer.global_step` counts."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        generator_optimizer: OptimizerCallable,
        discriminator_optimizer: OptimizerCallable,
        loss: AdversarialLoss | None = None,
        generator_scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        discriminator_scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: Literal["norm", "value"] = "norm",
        accumulate: int = 1,
        generator_parameter_groups: ParameterGroups | None = None,
        discriminator_parameter_groups: ParameterGroups | None = None,
        channels_last: bool = True,
        weights: str | None = None,
        weights_strict: bool = True,
    ) -> None:
        super().__init__()
        check_arguments(generator, gradient_clip_val, gradient_clip_algorithm, accumulate)
        self.automatic_optimization = False
        self.generator, self.discriminator = generator, discriminator
        self.latent_size = cast(int, generator.latent_size)
        self.loss = loss or NonSaturatingLoss()
        self.clip_val, self.clip_algorithm, self.accumulate = gradient_clip_val, gradient_clip_algorithm, accumulate
        self.channels_last = channels_last
        self.start_from(weights, weights_strict)
        self.centring = Centring()
        self.optimized_networks = (
            OptimizedNetwork(
                "generator", generator, generator_optimizer, generator_scheduler, generator_parameter_groups
            ),
            OptimizedNetwork(
                "discriminator",
                discriminator,
                discriminator_optimizer,
                discriminator_scheduler,
                discriminator_parameter_groups,
            ),
        )
        self.distances = nn.ModuleDict({f"{stage}_distance": SlicedWasserstein() for stage in ("val", "test")})

    def forget_schedules(self) -> None:
        """Keep the learning rates constant, as the learning-rate finder needs."""
        for network in self.optimized_networks:
            network.make_schedule = None

    # -- before training -----------------------------------------------------------------------------------------------

    def configure_callbacks(self) -> list[Callback]:
        """Add the grid of samples; check the trainer's flags before Lightning does."""
        from lightning_modules.adversarial.sample_grid import SampleGrid

        check_trainer_flags(self.trainer)
        return [*super().configure_callbacks(), SampleGrid()]

    def configured_schedules(self) -> list[Any]:
        """Return the schedule of each optimizer as it was configured, or None for a constant rate."""
        return [network.make_schedule for network in self.optimized_networks]

    def setup(self, stage: str) -> None:
        """Set the memory format, check the networks, and tell DDP that each step leaves one network unused."""
        super().setup(stage)
        trainer = trainer_of(self)
        let_ddp_find_unused_parameters(getattr(trainer, "strategy", None))
        if self.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data: Any = getattr(trainer, "datamodule", None)
        if hasattr(data, "channels") and hasattr(data, "image_size"):
            check_networks(self.generator, self.discriminator, self.latent_size, (data.channels, *data.image_size))

    def configure_optimizers(self) -> Any:
        """Create optimizer and schedule of each network, the generator's first."""
        return [network.build(self.trainer) for network in self.optimized_networks]

    # -- training ------------------------------------------------------------------------------------------------------

    def forward(self, noise: Tensor) -> Tensor:
        """Return generated images in [−1, 1]."""
        weights = next(self.generator.parameters(), noise)
        images: Tensor = self.generator(noise.to(weights.dtype))
        return images

    def real(self, batch: Any) -> Tensor:
        """Return the images of a batch in [−1, 1], whatever the data module normalises with."""
        images: Tensor = batch[0] if isinstance(batch, (tuple, list)) else batch
        statistics = getattr(getattr(self.trainer, "datamodule", None), "statistics", None)
        images = self.centring(images, statistics)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Take a step of the discriminator, then one of the generator."""
        real = self.real(batch)
        chunks = real.chunk(self.accumulate)
        values: dict[str, Tensor] = {}
        for index, compute_losses in ((DISCRIMINATOR, self._discriminator_losses), (GENERATOR, self._generator_losses)):
            with self._optimizer_step(index):
                for chunk in chunks:
                    share = len(chunk) / len(real)
                    losses = compute_losses(chunk)
                    self._backward(share * next(iter(losses.values())))
                    add_chunk(values, losses, share)
        self.means["train"].update(len(real), **values)
        if is_logging_step(self.trainer, self.trainer.global_step):  # global_step already includes this step
            self._log_step(values)
        for network in self.optimized_networks:
            network.step_schedule(batch_idx + 1, self.trainer.current_epoch + 1, self.trainer.is_last_batch)

    def _discriminator_losses(self, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self(self.noise(len(real)))
        return discriminator_metrics(self.loss, self.discriminator, real, fake)

    def _generator_losses(self, real: Tensor) -> dict[str, Tensor]:
        return {"generator_loss": self.loss.generator(self.discriminator(self(self.noise(len(real)))))}

    def noise(self, count: int) -> Tensor:
        """Return noise `(count, latent_size)` from the random stream of the run."""
        return torch.randn(count, self.latent_size, device=self.device)

    @contextmanager
    def _optimizer_step(self, index: int) -> Iterator[None]:
        """Compute gradients of one network only inside this context; at its end take the optimizer's step."""
        optimizers: Any = self.optimizers()
        optimizer = optimizers[index]
        with self.toggled_optimizer(optimizer):
            optimizer.zero_grad()
            yield
            with self._full_precision():
                if index == GENERATOR:
                    optimizer.step()
                else:  # the same, without Lightning's counting it as a step
                    self.trainer.strategy.optimizer_step(optimizer.optimizer, closure=lambda: None)

    def _backward(self, loss: Tensor) -> None:
        with self._full_precision():
            self.manual_backward(loss)

    def _full_precision(self) -> torch.autocast:
        """Leave Lightning's autocast, which covers the whole training step but is meant for the networks only."""
        return torch.autocast(self.device.type, enabled=False)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients, which are unscaled by now, and which callbacks have seen unclipped."""
        if self.clip_val is not None:
            clip_gradients_once(optimized_parameters(optimizer), self.clip_val, self.clip_algorithm)

    def _log_step(self, values: dict[str, Tensor]) -> None:
        row: dict[str, Tensor | float] = {f"train/{name}_step": values[name] for name in LOSSES}
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        for network, optimizer in zip(self.optimized_networks, self.trainer.optimizers, strict=True):
            row |= rates_of(optimizer.param_groups, f"lr/{network.name}")
            if scaled and network.steps is not None:
                row[f"skipped_steps/{network.name}"] = float(network.steps.skipped(self.trainer.global_step))
        self.log_dict(on_host(row), on_step=True, on_epoch=False)

    # -- evaluation ----------------------------------------------------------------------------------------------------

    def metric_names(self) -> set[str]:
        """Return the names of the losses, the accuracies and the distance of the distributions."""
        return {*BATCH_METRICS, "sliced_wasserstein"}

    def logged_metrics(self) -> set[str]:
        """Return the names of everything logged per epoch; training has no distance."""
        return {f"train/{name}" for name in BATCH_METRICS} | {f"val/{name}" for name in self.metric_names()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Evaluate a batch and as many fakes, from the same noise in each validation."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Evaluate a batch and as many fakes."""
        self._evaluate("test", batch, batch_idx)

    def _evaluate(self, stage: str, batch: Any, batch_idx: int) -> None:
        real = self.real(batch)
        fake = self(self.fixed_noise(len(real), batch_idx))
        values = discriminator_metrics(self.loss, self.discriminator, real, fake)
        values["generator_loss"] = self.loss.generator(self.discriminator(fake))
        self.means[stage].update(len(real), **values)
        self._distance(stage).update(real, fake)

    def fixed_noise(self, count: int, number: int, seed: int = 0) -> Tensor:
        """Return noise `(count, latent_size)` that depends only on the seed, the number and the process."""
        generator = torch.Generator().manual_seed(mix(seed, number, self.global_rank))
        noise = torch.randn(count, self.latent_size, generator=generator)
        return on_device(noise, self.device)

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """Return the distance over every image of the stage, and reset it."""
        distance: Tensor = self._distance(stage).compute()
        self._distance(stage).reset()
        return {"sliced_wasserstein": distance}

    def _evaluation_start(self, stage: str) -> None:
        super()._evaluation_start(stage)
        self._distance(stage).reset()

    def _distance(self, stage: str) -> Metric:
        return cast(Metric, self.distances[f"{stage}_distance"])

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Return new images, uint8 `(B, C, H, W)`, as many as the batch has; they depend on the seed of the run."""
        count = len(batch[0] if isinstance(batch, (tuple, list)) else batch)
        return {"image": as_bytes(self(self.fixed_noise(count, batch_idx, seed=1 + torch.initial_seed())))}

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save also how many steps each optimizer took."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["steps_taken"] = [network.steps.taken if network.steps else 0 for network in self.optimized_networks]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits the networks; restore its counts and sums."""
        super().on_load_checkpoint(checkpoint)
        if self._continues_a_fit:
            for network, taken in zip(self.optimized_networks, checkpoint["steps_taken"], strict=True):
                network.taken = taken
