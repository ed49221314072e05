"""Base class of supervised training: network, loss, optimizer, schedule, gradient clipping and logged means."""

from typing import Any, cast

import torch
from lightning.pytorch import Callback
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import LRSchedulerConfigType, OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from foundation.compat.lightning import trainer_of
from foundation.errors import UserError
from foundation.factories import class_of
from foundation.loggers import is_logging_step
from lightning_modules.base.accumulation import AccumulationWindow
from lightning_modules.base.epoch_module import EpochModule
from lightning_modules.base.half_precision import exact_for_loss, out_of_half
from lightning_modules.base.logged_values import on_host
from lightning_modules.base.settled_batch_norm import SettledBatchNorm
from lightning_modules.base.weighed_samples import WeighedSamples
from lightning_modules.distributed.sharding import clip_flat_shards_once, flat_shards_of, shard
from lightning_modules.losses.input_contract import input_contract
from lightning_modules.networks.amx_convolution import use_amx_in_bf16
from lightning_modules.optimizers.build import build_optimizer
from lightning_modules.optimizers.clipping import clip_gradients_once, optimized_parameters
from lightning_modules.optimizers.closures import check_closure
from lightning_modules.optimizers.freezing import counted_as_trainable
from lightning_modules.optimizers.group_table import rates_of
from lightning_modules.optimizers.hyperparameters import check_hyperparameters
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.optimizers.taken_steps import TakenSteps
from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory


class SupervisedModule(EpochModule):
    """A network trained on (input, target) pairs.

    A task derives from it, computes cheap metrics of each training batch in `batch_metrics`, and updates the metrics of
    validation and test in `update_metrics`.

    Args:
        network: Maps inputs `(B, …)` to raw outputs (logits for the classification losses).
        loss: Called as `loss(output, target)`; returns the mean over the batch.
        optimizer: Creates the optimizer from the parameters. It has no default on purpose: if another class were
            chosen on top of a default, it would inherit the default's arguments.
        scheduler: Creates the learning-rate schedule; lengths that the trainer knows are filled in. `None` keeps the
            optimizer's learning rate.
        channels_last: Keep 4-dimensional weights and inputs in the `channels_last` memory format, in which convolutions
            are faster on most hardware. The arithmetic is the same.
        parameter_groups: Weight decay and learning-rate factors per parameter; `None` treats all parameters alike.
        weights: File whose weights a new run starts from: a checkpoint or folder of a run, a state dict, safetensors.
            If it has another number of classes, the last layer is new. Not read where a checkpoint is loaded.
        weights_strict: Whether any other layer that does not fit is an error; if not, what fits is taken.
    """

    grad_norm: Tensor | None = None
    """Total 2-norm of the last step's gradients before clipping, on the device; `None` before the first step."""

    clip_divisor: Tensor | None = None
    """The norm that clipping divided by: torch's, which on a CPU is less exact for very large tensors."""

    weighs_samples = True
    """Whether `training_step` takes the weights of samples from the batch, see `WeighedSamples`."""

    taken_steps: TakenSteps | None = None
    """Counts the optimizer steps that were taken; a gradient scaler skips those that overflow."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note a `training_step` of one's own, which does not know that a batch may have weights."""
        super().__init_subclass__(**kwargs)
        if "training_step" in vars(cls) and "weighs_samples" not in vars(cls):
            cls.weighs_samples = False

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: OptimizerCallable,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        channels_last: bool = True,
        parameter_groups: ParameterGroups | None = None,
        weights: str | None = None,
        weights_strict: bool = True,
    ) -> None:
        super().__init__()
        check_hyperparameters(optimizer)
        if getattr(loss, "reduction", None) == "none":
            raise ValueError("loss.reduction must be mean or sum, got none: training needs one number.")
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.channels_last = channels_last
        self.parameter_groups = parameter_groups
        self.accumulation = AccumulationWindow()
        self.weighed_samples = WeighedSamples()
        self.start_from(weights, weights_strict)
        self._steps_taken: int | None = None
        self._flat_shards: tuple[Any] | None = None  # in a tuple: a module in an attribute would be a child

    # -- overridden by a task ------------------------------------------------------------------------------------------

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch, shape `()`; a task converts its targets here if the loss needs another form."""
        if len(output) == 0:
            return output.float().sum()  # 0 with a gradient; torch's own losses give NaN
        if self.weighed_samples.weights is not None:
            weighed, weight = self.weighed_samples.loss(self.loss, output, target)
            self.accumulation.set_weight(weight)
            return weighed
        self.accumulation.weigh(self.loss, output, target)
        loss: Tensor = self.loss(exact_for_loss(output), target)
        return loss

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return further means over a training batch, each of shape `()`, without synchronising with the device."""
        return {}

    def update_metrics(self, stage: str, output: Tensor, target: Tensor) -> None:
        """Update the metrics of `stage` ("val" or "test") with a batch."""

    # -- steps ---------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Load `weights`, set the memory format; check that the loss takes the targets that the data gives."""
        super().setup(stage)
        if stage == "fit":
            self.accumulation.restart()
            self.taken_steps = None
        trainer = trainer_of(self)
        if stage == "fit":
            self.weighed_samples.restart(self.loss, getattr(trainer, "datamodule", None))
        augmentation = getattr(getattr(trainer, "datamodule", None), "augmentation", None)
        if stage == "fit" and getattr(augmentation, "mixes", False):
            self._check_soft_targets(type(augmentation).__name__)
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if stage == "fit" and trainer is not None:
            check_closure(self.optimizer, self.network, trainer.accumulate_grad_batches, trainer.gradient_clip_val)
            use_amx_in_bf16(self.network, trainer.strategy.root_device, str(trainer.precision))

    def _check_soft_targets(self, augmentation: str) -> None:
        expected = input_contract(self.loss)
        if expected is not None and not expected.soft:
            raise UserError(
                f"{type(self.loss).__name__} takes class numbers, but {augmentation} gives shares of classes: choose "
                "losses/cross_entropy.yaml, losses/focal.yaml or losses/bce_logits.yaml, or remove the augmentation."
            )

    def configure_model(self) -> None:
        """Shard the weights over the processes, if the strategy does so."""
        shard(self, self.network)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the raw outputs of the network."""
        if self.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return out_of_half(self.network(inputs))

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the loss of a batch; add it to the epoch's mean, and log it every `log_every_n_steps`.

        The mean and the log are over the samples that were seen, each counted once, also where the loss weighs them.
        """
        inputs, target, *weights = batch
        self.accumulation.begin_batch(self.trainer, batch_idx, len(inputs))
        self.weighed_samples.begin_batch(weights)
        output = self(inputs)
        loss = self.criterion(output, target)
        self.weighed_samples.end_batch(self, getattr(self.trainer, "datamodule", None))
        seen = loss if self.weighed_samples.mean is None else self.weighed_samples.mean
        self.means["train"].update(len(inputs), loss=seen, **self.batch_metrics(output.detach(), target))
        # self.log takes longer than a step of a small network, so call it only when the trainer would write it.
        if is_logging_step(self.trainer, self.trainer.global_step + 1):
            rates: dict[str, Tensor | float] = {**self.learning_rates(), **self.skipped_steps()}
            self.log_dict(on_host({"train/loss_step": seen, **rates}), on_step=True, on_epoch=False)
        return loss

    def learning_rates(self) -> dict[str, float]:
        """Return this step's learning rate as `lr`, or as `lr/<group>` if there are several parameter groups."""
        return rates_of([group for optimizer in self.trainer.optimizers for group in optimizer.param_groups])

    def skipped_steps(self) -> dict[str, float]:
        """Return the number of skipped optimizer steps so far: always with a gradient scaler, else if there are any."""
        if self.taken_steps is None:
            return {}
        skipped = self.taken_steps.skipped(self.trainer.global_step)
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        return {"skipped_steps": float(skipped)} if scaled or skipped else {}

    def on_train_start(self) -> None:
        """Check what a plateau schedule monitors; find out whether FSDP has sharded the weights."""
        super().on_train_start()
        self.accumulation.forget_open_window(self.trainer.optimizers)
        root = flat_shards_of(self)
        self._flat_shards = None if root is None else (root,)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Update the loss and metrics of validation."""
        self._evaluation_step("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Update the loss and metrics of the test."""
        self._evaluation_step("test", batch)

    def _evaluation_step(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        inputs, target = batch
        output = self(inputs)
        self.means[stage].update(len(inputs), loss=self.criterion(output, target))
        self.update_metrics(stage, output, target)

    # -- optimization --------------------------------------------------------------------------------------------------

    def configure_callbacks(self) -> list[Callback]:
        """Add also the callbacks that a schedule-free optimizer and batch norm in a short run need."""
        from lightning_modules.optimizers.schedule_free import ScheduleFreeWeights, schedule_free

        needed: list[Callback] = [ScheduleFreeWeights()] if schedule_free(class_of(self.optimizer)) else []
        there = self.trainer.callbacks  # type: ignore[attr-defined]
        needed += [] if any(type(each) is SettledBatchNorm for each in there) else [SettledBatchNorm()]
        return [*super().configure_callbacks(), *needed]

    def configured_schedules(self) -> list[Any]:
        """Return the schedule of each optimizer as it was configured, or None for a constant rate."""
        return [self.scheduler]

    def forget_schedules(self) -> None:
        """Keep the learning rate constant, as a trial fit needs: the schedule is as long as the real run."""
        self.scheduler = None

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Create the optimizer of all trainable parameters, and its schedule over the actual length of the run."""
        with counted_as_trainable(self):
            optimizer = build_optimizer(self.optimizer, self, self.parameter_groups)
        resumed, self._steps_taken = self._steps_taken, None
        self.taken_steps = TakenSteps(optimizer, taken=self.trainer.global_step if resumed is None else resumed)
        schedule = build_schedule(self.scheduler, optimizer, RunLength.from_trainer(self.trainer))
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": cast(LRSchedulerConfigType, schedule)}

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute the gradients of a batch; see `AccumulationWindow` for its weight among several."""
        super().backward(self.accumulation.scaled(loss), *args, **kwargs)
        self.accumulation.close_after(self.trainer, self.trainer.optimizers)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the trainer's flags say; compute the norm once and keep it in `grad_norm`."""
        if self._flat_shards is not None:
            norms = clip_flat_shards_once(self._flat_shards[0], gradient_clip_val, gradient_clip_algorithm)
        else:
            parameters = optimized_parameters(optimizer)
            norms = clip_gradients_once(parameters, gradient_clip_val, gradient_clip_algorithm)
        # Not setattr: nn.Module's is slow for a tensor that is not a parameter.
        vars(self).update(grad_norm=norms.true, clip_divisor=norms.divisor)

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Step the schedule, unless every optimizer step since its last step was skipped."""
        if self.taken_steps is None or self.taken_steps.advanced():
            super().lr_scheduler_step(scheduler, metric)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the sums of an unfinished epoch, over all processes, and the number of optimizer steps taken."""
        if self.taken_steps is not None:
            checkpoint["steps_taken"] = self.taken_steps.taken
        if state := self.accumulation.state_dict(self.trainer):
            checkpoint["accumulation"] = state
        super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits the network; restore its counts and sums.

        Raises:
            UserError: The checkpoint is of another network; the message names the layers that differ.
        """
        super().on_load_checkpoint(checkpoint)
        if self._continues_a_fit:
            self._steps_taken = checkpoint.get("steps_taken")
            if self.taken_steps is not None:  # FSDP loads a checkpoint when the optimizers exist
                taken = checkpoint["global_step"] if self._steps_taken is None else self._steps_taken
                self.taken_steps.restart(taken)
            self.accumulation.load_state_dict(checkpoint.get("accumulation", {}), self.trainer)
