"""A generator and a discriminator, trained against each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from foundation.compat.lightning import let_ddp_find_unused_parameters, trainer_of
from foundation.counter_random import mix
from foundation.errors import UserError
from foundation.images import as_bytes
from lightning_modules.adversarial.optimized_network import OptimizedNetwork
from lightning_modules.adversarial.sliced_wasserstein import SlicedWasserstein
from lightning_modules.base.epoch_module import EpochModule
from lightning_modules.base.task import trial_output
from lightning_modules.losses.adversarial import AdversarialLoss, NonSaturatingLoss
from lightning_modules.optimizers.clipping import clip_gradients_once, optimized_parameters
from lightning_modules.optimizers.group_table import rates_of
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.factory import ScheduleFactory

OWN_NAMES = {"gradient_clip_val": "gradient_clip_val", "accumulate_grad_batches": "accumulate"}


def refuse_flags(trainer: Trainer) -> None:
    """Say what takes the place of the trainer's flags, before Lightning refuses them.

    Raises:
        UserError: One is set.
    """
    for flag, own in OWN_NAMES.items():
        value = getattr(trainer, flag)
        if value not in (None, 0) and (flag, value) != ("accumulate_grad_batches", 1):
            raise UserError(
                f"A GAN has two optimizers, for which Lightning has no {flag}: give --model.{own} {value} in place "
                f"of --trainer.{flag} {value} (GAN({own}={value}) in Python)."
            )


def check_networks(
    generator: nn.Module, discriminator: nn.Module, latent_size: int, image: tuple[int, int, int]
) -> None:
    """Try the networks on noise and on an image.

    Args:
        generator: Of noise `(B, latent_size)`.
        discriminator: Of images.
        latent_size: Numbers that an image is made of.
        image: `(C, H, W)` of the data.

    Raises:
        UserError: They do not fit the data, or each other.
    """
    made = trial_output(generator, (latent_size,))
    if made != (2, *image):
        raise UserError(
            f"{type(generator).__name__} makes images of {made[1:]} (channels, height, width), the data's "
            f"are of {image}: choose data and generator to match, e.g. --data.size or --model.generator.size."
        )
    logits = trial_output(discriminator, image)
    if logits not in ((2,), (2, 1)):
        raise UserError(f"{type(discriminator).__name__} gives {logits} for 2 images; expected (2,): a logit for each.")


GENERATOR, DISCRIMINATOR = 0, 1  # numbers of the optimizers
LOSSES = ("generator_loss", "discriminator_loss")
MEASURED = (*LOSSES, "real_accuracy", "fake_accuracy")


class GAN(EpochModule):
    """Make images like those of the data; labels are not looked at.

    Each batch is a step of the discriminator, on the batch and as many fakes, then one of the generator, on new noise.
    Only the generator's are counted: `max_steps`, schedules, checkpoints and logs all say generator steps. (Lightning
    would count every step of any optimizer.)

    | key | what |
    | --- | --- |
    | `train/generator_loss`, `val/generator_loss` | the generator's term; not comparable between runs |
    | `train/discriminator_loss`, `val/discriminator_loss` | the discriminator's |
    | `train/real_accuracy`, `val/real_accuracy` | share of real images that it takes for real |
    | `train/fake_accuracy`, `val/fake_accuracy` | share of fakes that it takes for fakes; both ½: it cannot tell |
    | `val/sliced_wasserstein` | distance of as many fakes to the real images; lower is better, see there |
    | `lr/generator`, `lr/discriminator` | learning rates |

    Args:
        generator: Maps noise `(B, latent_size)` to images `(B, C, H, W)` in [−1, 1]; says its `latent_size`.
        discriminator: Maps images to logits `(B,)`, high for real ones.
        generator_optimizer: Makes the generator's optimizer.
        discriminator_optimizer: Makes the discriminator's.
        loss: The pair of terms; default non-saturating.
        generator_scheduler: Makes the generator's schedule; `None` keeps the rate.
        discriminator_scheduler: Makes the discriminator's.
        gradient_clip_val: Bound of the gradients of each, > 0; `None` clips nothing. Lightning refuses its own flag
            where there is more than one optimizer.
        gradient_clip_algorithm: `norm` or `value`.
        accumulate: In how many parts a batch goes through, ≥ 1: the memory of a part, the step of the whole batch
            (batch normalisation sees parts). Takes the place of `accumulate_grad_batches`.
        generator_parameter_groups: Which of the generator's parameters are decayed, and at which share of the rate.
        discriminator_parameter_groups: The same of the discriminator's.
        channels_last: See `SupervisedModule`.

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
    ) -> None:
        super().__init__()
        if gradient_clip_val is not None and not gradient_clip_val > 0:
            raise ValueError(f"gradient_clip_val must be > 0, or null for none, got {gradient_clip_val}.")
        if gradient_clip_algorithm not in ("norm", "value"):
            raise ValueError(f"gradient_clip_algorithm must be norm or value, got {gradient_clip_algorithm!r}.")
        if accumulate < 1:
            raise ValueError(f"accumulate must be ≥ 1, got {accumulate}.")
        latent_size = getattr(generator, "latent_size", None)
        if not isinstance(latent_size, int):
            raise ValueError(f"{type(generator).__name__} must say how many numbers it takes, as latent_size.")
        self.automatic_optimization = False
        self.generator, self.discriminator, self.latent_size = generator, discriminator, latent_size
        self.loss = loss or NonSaturatingLoss()
        self.clip_val, self.clip_algorithm, self.accumulate = gradient_clip_val, gradient_clip_algorithm, accumulate
        self.channels_last = channels_last
        self.players = (
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
        """Keep the learning rates, as a copy does that is trained to look for one."""
        for player in self.players:
            player.make_schedule = None

    # -- before training -----------------------------------------------------------------------------------------------

    def configure_callbacks(self) -> list[Callback]:
        """Bring along the images; say what takes the place of the trainer's flags before Lightning refuses them."""
        from lightning_modules.adversarial.sample_grid import SampleGrid

        refuse_flags(self.trainer)
        return [SampleGrid()]

    def setup(self, stage: str) -> None:
        """Lay out the weights; see that the networks fit the data; tell DDP that each turn leaves a network out."""
        trainer = trainer_of(self)
        let_ddp_find_unused_parameters(getattr(trainer, "strategy", None))
        if self.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data: Any = getattr(trainer, "datamodule", None)
        if hasattr(data, "channels") and hasattr(data, "image_size"):
            check_networks(self.generator, self.discriminator, self.latent_size, (data.channels, *data.image_size))

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of each, the generator's first."""
        return [player.build(self.trainer) for player in self.players]

    # -- training ------------------------------------------------------------------------------------------------------

    def forward(self, noise: Tensor) -> Tensor:
        """Images in [−1, 1]."""
        images: Tensor = self.generator(noise)
        return images

    def real(self, batch: Any) -> Tensor:
        """The batch's images in [−1, 1], from what the data module normalised."""
        images: Tensor = batch[0] if isinstance(batch, (tuple, list)) else batch
        statistics = getattr(getattr(self.trainer, "datamodule", None), "statistics", None)
        if statistics is not None and {*statistics.mean, *statistics.std} != {0.5}:
            mean, std = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in statistics)
            images = images * (2 * std) + (2 * mean - 1)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """A step of the discriminator, then one of the generator."""
        real = self.real(batch)
        parts = real.chunk(self.accumulate)
        measured: dict[str, Tensor] = {}
        for number, losses in ((DISCRIMINATOR, self._discriminator_losses), (GENERATOR, self._generator_losses)):
            with self._turn(number):
                for part in parts:
                    share = len(part) / len(real)
                    losses_of_part = losses(part)
                    self._backward(share * next(iter(losses_of_part.values())))
                    add(measured, losses_of_part, share)
        self.means["train"].update(len(real), **measured)
        if self.trainer.global_step % self._log_every_n_steps == 0:  # the step is counted by now
            self._log_step(measured)
        for player in self.players:
            player.advance(batch_idx + 1, self.trainer.current_epoch + 1, self.trainer.is_last_batch)

    def _discriminator_losses(self, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self(self.noise(len(real)))
        return self._judged(real, fake)

    def _judged(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The discriminator's loss, and how often it is right."""
        of_real, of_fake = self.discriminator(real), self.discriminator(fake)
        boundary = self.loss.boundary
        return {
            "discriminator_loss": self.loss.discriminator(of_real, of_fake),
            "real_accuracy": (of_real.detach() > boundary).float().mean(),
            "fake_accuracy": (of_fake.detach() <= boundary).float().mean(),
        }

    def _generator_losses(self, real: Tensor) -> dict[str, Tensor]:
        return {"generator_loss": self.loss.generator(self.discriminator(self(self.noise(len(real)))))}

    def noise(self, count: int) -> Tensor:
        """Noise `(count, latent_size)` of the run's random stream."""
        return torch.randn(count, self.latent_size, device=self.device)

    @contextmanager
    def _turn(self, number: int) -> Iterator[None]:
        """Gradients of one network alone, then its step."""
        wrapped: Any = self.optimizers()
        optimizer = wrapped[number]
        with self.toggled_optimizer(optimizer):
            optimizer.zero_grad()
            yield
            with self._full_precision():
                if number == GENERATOR:
                    optimizer.step()
                else:  # the same, past Lightning's count of steps
                    self.trainer.strategy.optimizer_step(optimizer.optimizer, closure=_nothing)

    def _backward(self, loss: Tensor) -> None:
        with self._full_precision():
            self.manual_backward(loss)

    def _full_precision(self) -> torch.autocast:
        """Lightning's autocast is on around the whole training step; only networks are to be under it."""
        return torch.autocast(self.device.type, enabled=False)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip; a gradient scaler has unscaled by now, and callbacks have seen the gradients as they were."""
        if self.clip_val is not None:
            clip_gradients_once(optimized_parameters(optimizer), self.clip_val, self.clip_algorithm)

    def _log_step(self, measured: dict[str, Tensor]) -> None:
        row: dict[str, Tensor | float] = {f"train/{name}_step": measured[name] for name in LOSSES}
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        for player, optimizer in zip(self.players, self.trainer.optimizers, strict=True):
            row |= rates_of(optimizer.param_groups, f"lr/{player.name}")
            if scaled and player.steps is not None:
                row[f"skipped_steps/{player.name}"] = float(player.steps.skipped(self.trainer.global_step))
        self.log_dict(row, on_step=True, on_epoch=False)

    # -- measuring -----------------------------------------------------------------------------------------------------

    def metric_names(self) -> set[str]:
        """The losses, how often the discriminator is right, the distance of the distributions."""
        return {*MEASURED, "sliced_wasserstein"}

    def logged_metrics(self) -> set[str]:
        """The same of training, but the distance."""
        return {f"train/{name}" for name in MEASURED} | {f"val/{name}" for name in self.metric_names()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Judge a batch and as many fakes, of the same noise in each validation."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Judge a batch and as many fakes."""
        self._evaluate("test", batch, batch_idx)

    def _evaluate(self, stage: str, batch: Any, batch_idx: int) -> None:
        real = self.real(batch)
        fake = self(self.fixed_noise(len(real), batch_idx))
        measured = self._judged(real, fake)
        measured["generator_loss"] = self.loss.generator(self.discriminator(fake))
        self.means[stage].update(len(real), **measured)
        self._distance(stage).update(real, fake)

    def fixed_noise(self, count: int, number: int, seed: int = 0) -> Tensor:
        """Noise `(count, latent_size)` that depends on the seed, the number and the process alone."""
        generator = torch.Generator().manual_seed(mix(seed, number, self.global_rank))
        return torch.randn(count, self.latent_size, generator=generator).to(self.device)

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """The distance over every image of the stage."""
        distance: Tensor = self._distance(stage).compute()
        self._distance(stage).reset()
        return {"sliced_wasserstein": distance}

    def _evaluation_start(self, stage: str) -> None:
        super()._evaluation_start(stage)
        self._distance(stage).reset()

    def _distance(self, stage: str) -> Metric:
        return cast(Metric, self.distances[f"{stage}_distance"])

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """New images, uint8 `(B, C, H, W)`, as many as the batch has; others with another seed of the run."""
        count = len(batch[0] if isinstance(batch, (tuple, list)) else batch)
        return {"image": as_bytes(self(self.fixed_noise(count, batch_idx, seed=1 + torch.initial_seed())))}

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep also how many steps each optimizer really took."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["steps_taken"] = [player.steps.taken if player.steps else 0 for player in self.players]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See that the checkpoint is one of these networks; go on with its counts and sums."""
        super().on_load_checkpoint(checkpoint)
        if self._continues_a_fit:
            for player, taken in zip(self.players, checkpoint["steps_taken"], strict=True):
                player.taken = taken


def add(sums: dict[str, Tensor], values: dict[str, Tensor], share: float) -> None:
    """Add a part's means to those of the whole batch, on the device."""
    for name, value in values.items():
        part = value.detach() * share
        sums[name] = sums[name] + part if name in sums else part


def _nothing() -> None:
    """The closure of a step whose gradients are there already."""
