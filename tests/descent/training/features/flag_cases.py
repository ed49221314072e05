"""What happens with each flag of the Trainer."""

from typing import Any

import torch
from lightning.pytorch.callbacks import ModelSummary, Timer
from lightning.pytorch.profilers import SimpleProfiler
from lightning.pytorch.strategies import DDPStrategy

from callbacks import ExactResume
from datamodules.memory.order import RepeatedOrder
from tests.descent.training.features.sweep import Case, Outcome

LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"


def callback(kind: type[Any]) -> Any:
    return lambda outcome: any(isinstance(each, kind) for each in outcome.trainer.callbacks)


def validations(number: int) -> Any:
    return lambda outcome: len([row for row in values(outcome, "val/loss") if row]) == number


def values(outcome: Outcome, column: str) -> list[str]:
    """Return a column of `metrics.csv`."""
    head, *rows = [line.split(",") for line in outcome.rows.splitlines()]
    return [row[head.index(column)] for row in rows] if column in head else []


FLAGS: dict[str, list[Case]] = {
    "accelerator": [
        Case(
            "--trainer.accelerator cpu",
            "trains on the CPU; `auto` (the default) takes a GPU if there is one",
            lambda o: o.trainer.strategy.root_device.type == "cpu",
        ),
        Case("--trainer.accelerator gpu", without_gpu=True),
        Case("--trainer.accelerator tpu"),
    ],
    "strategy": [
        Case(
            "--trainer.strategy ddp",
            "works with one process or several, see [Several GPUs](scaling.md)",
            lambda o: isinstance(o.trainer.strategy, DDPStrategy) and o.steps == 2,
        ),
        Case("--trainer.strategy fsdp"),
        Case("--trainer.strategy dp"),
    ],
    "devices": [
        Case("--trainer.devices 1", "one process; N starts N processes", lambda o: o.trainer.num_devices == 1),
        Case("--trainer.devices 999"),
        Case("--trainer.devices -1"),
    ],
    "num_nodes": [Case("--trainer.num_nodes 2")],
    "precision": [
        Case(
            "--trainer.precision bf16-mixed",
            "works, with 32-bit weights",
            lambda o: o.steps == 2 and o.trainer.precision == "bf16-mixed",
        ),
        Case(
            "--trainer.precision 16-mixed",
            "works on a GPU; on a CPU bf16-mixed or 32-bit takes its place, and a line says so",
            lambda o: "precision: 16-mixed needs a GPU" in o.said and o.steps == 2,
        ),
        Case(
            "--trainer.precision 16-true",
            "works on a GPU; on a CPU bf16-mixed or 32-bit takes its place, with 32-bit weights, and a line says so",
            lambda o: "precision: 16-true is for GPUs" in o.said and o.steps == 2,
        ),
        Case(
            "--trainer.precision bf16-true",
            "works: weights, batches and gradients in bf16",
            lambda o: next(o.cli.model.parameters()).dtype == torch.bfloat16 and o.steps == 2,
        ),
        Case(
            "--trainer.precision 64-true",
            "works: weights, batches and gradients in 64 bit",
            lambda o: next(o.cli.model.parameters()).dtype == torch.float64 and o.steps == 2,
        ),
        Case("--trainer.precision transformer-engine"),
    ],
    "logger": [
        Case(
            "--trainer.logger false",
            "no metrics.csv, no TensorBoard; checkpoints and config stay",
            lambda o: not o.has("metrics.csv") and o.has(LAST) and o.has("config.yaml"),
        ),
    ],
    "callbacks": [
        Case(
            "--trainer.callbacks+ callbacks/gradient_norm.yaml",
            "added to those of every run; `+` appends to the config's",
            lambda o: o.steps == 2 and callback(ExactResume)(o),
        )
    ],
    "fast_dev_run": [
        Case(
            "--trainer.fast_dev_run true",
            "one batch of training and of validation; nothing is written",
            lambda o: o.steps == 1 and not o.files,
        )
    ],
    "max_epochs": [
        Case("--trainer.max_epochs 2", "trains two epochs", lambda o: o.trainer.current_epoch == 2),
        Case("--trainer.max_epochs 0"),
    ],
    "min_epochs": [
        Case(
            "--trainer.min_epochs 1 --trainer.max_epochs 2",
            "early stopping and `max_time` wait so long",
            lambda o: o.trainer.min_epochs == 1 and o.steps == 4,
        ),
        Case("--trainer.min_epochs 3"),
    ],
    "max_steps": [
        Case("--trainer.max_steps 1", "ends after one optimizer step", lambda o: o.steps == 1 and o.has(LAST)),
        Case("--trainer.max_steps 0"),
    ],
    "min_steps": [
        Case("--trainer.min_steps 2", "early stopping and `max_time` wait so long"),
        Case("--trainer.min_steps 3 --trainer.max_steps 1"),
    ],
    "max_time": [
        Case("--trainer.max_time 00:00:10:00", "ends after ten minutes at the latest", callback(Timer)),
        Case("--trainer.max_time 10min"),
    ],
    "limit_train_batches": [
        Case("--trainer.limit_train_batches 1", "one batch per epoch", lambda o: o.steps == 1),
        Case(
            "--trainer.limit_train_batches 0.05",
            "a share of the batches",
            lambda o: o.steps == int(0.05 * len(o.trainer.train_dataloader)) > 2,
        ),
        Case("--trainer.limit_train_batches 0"),
        Case("--trainer.limit_train_batches 0.0001"),
    ],
    "limit_val_batches": [
        Case(
            "--trainer.limit_val_batches 0",
            "no validation: there is a last.ckpt, but no best.ckpt, and a line says so",
            lambda o: o.has(LAST) and not o.has(BEST),
        ),
        Case("--trainer.limit_val_batches 0.5"),
    ],
    "limit_test_batches": [
        Case(
            "--trainer.limit_test_batches 1",
            "`descent test` uses one batch",
            lambda o: o.trainer.num_test_batches == [1],
            command="test",
        )
    ],
    "limit_predict_batches": [
        Case(
            "--trainer.limit_predict_batches 1",
            "`descent predict` uses one batch",
            lambda o: o.trainer.num_predict_batches == [1],
            command="predict",
        )
    ],
    "overfit_batches": [
        Case(
            "--trainer.overfit_batches 3",
            "the same three batches in each epoch, mixed over the data set, in training and in validation",
            lambda o: o.steps == 3 and isinstance(o.trainer.train_dataloader.sampler, RepeatedOrder),
        ),
        Case("--trainer.overfit_batches 0.1"),
    ],
    "val_check_interval": [
        Case("--trainer.val_check_interval 1", "validates after each batch", validations(2)),
        Case("--trainer.val_check_interval 00:00:10:00", "validates every ten minutes", validations(0)),
    ],
    "check_val_every_n_epoch": [
        Case("--trainer.check_val_every_n_epoch 2 --trainer.max_epochs 2", "every second epoch", validations(1)),
    ],
    "num_sanity_val_steps": [
        Case(
            "--trainer.num_sanity_val_steps 1",
            "one batch of validation before training, which finds mistakes early",
            lambda o: o.trainer.num_sanity_val_batches == [1] and o.steps == 2,
        )
    ],
    "log_every_n_steps": [
        Case(
            "--trainer.log_every_n_steps 1",
            "a row of metrics.csv per step",
            lambda o: len([value for value in values(o, "train/loss_step") if value]) == 2,
        )
    ],
    "enable_checkpointing": [
        Case(
            "--trainer.enable_checkpointing false",
            "no checkpoint is saved; the run cannot be resumed",
            lambda o: o.steps == 2 and not o.has(".ckpt") and o.has("config.yaml"),
        )
    ],
    "enable_progress_bar": [
        Case(
            "--trainer.enable_progress_bar false",
            "no bar, and no line per epoch",
            lambda o: o.steps == 2 and "train loss" not in o.said,
        )
    ],
    "enable_model_summary": [
        Case("--trainer.enable_model_summary true", "prints Lightning's table of layers", callback(ModelSummary))
    ],
    "accumulate_grad_batches": [
        Case("--trainer.accumulate_grad_batches 2", "one optimizer step for two batches", lambda o: o.steps == 1)
    ],
    "gradient_clip_val": [
        Case("--trainer.gradient_clip_val 0.1", "clips the norm", lambda o: o.trainer.gradient_clip_val == 0.1),
    ],
    "gradient_clip_algorithm": [
        Case("--trainer.gradient_clip_algorithm value", "clips each gradient on its own"),
        Case("--trainer.gradient_clip_algorithm both"),
    ],
    "deterministic": [
        Case(
            "--trainer.deterministic true",
            "only deterministic operations; one that is not gives an error (`warn`: a warning)",
            lambda o: o.steps == 2,
        )
    ],
    "benchmark": [Case("--trainer.benchmark true", "cuDNN tries its algorithms; no effect on a CPU")],
    "inference_mode": [Case("--trainer.inference_mode false", "validation uses `no_grad` instead of `inference_mode`")],
    "use_distributed_sampler": [
        Case(
            "--trainer.use_distributed_sampler false",
            "no effect: Descent's loaders divide the data themselves, without repeated samples",
        )
    ],
    "profiler": [
        Case(
            "--trainer.profiler simple",
            "prints Lightning's table of durations; `descent profile` says more",
            lambda o: isinstance(o.trainer.profiler, SimpleProfiler),
        ),
        Case("--trainer.profiler xla"),
        Case("--trainer.profiler fast"),
    ],
    "detect_anomaly": [
        Case(
            "--trainer.detect_anomaly true", "finds the operation of a NaN gradient; slow (`callbacks/black_box.yaml`)"
        )
    ],
    "barebones": [Case("--trainer.barebones true")],
    "plugins": [
        Case(
            "--trainer.plugins+ AsyncCheckpointIO",
            "takes the place of the durable checkpoint files; `--checkpoint.background true` has both",
            lambda o: o.has(LAST) and o.has(BEST),
        ),
    ],
    "sync_batchnorm": [
        Case("--trainer.sync_batchnorm true", "batch norm over all processes, on CPUs too; no effect with one process")
    ],
    "reload_dataloaders_every_n_epochs": [
        Case(
            "--trainer.reload_dataloaders_every_n_epochs 1 --trainer.max_epochs 2",
            "asks the data for a new loader in each epoch",
            lambda o: o.steps == 4,
        )
    ],
    "default_root_dir": [
        Case(
            "--trainer.default_root_dir elsewhere",
            "runs lie in elsewhere/EXPERIMENT/N instead of runs/EXPERIMENT/N",
            lambda o: "elsewhere/quickstart/0/config.yaml" in o.files,
        )
    ],
    "enable_autolog_hparams": [
        Case(
            "--trainer.enable_autolog_hparams false",
            "no effect: the run's config.yaml and TensorBoard show the config",
            lambda o: o.has("config.yaml"),
        )
    ],
    "model_registry": [Case("--trainer.model_registry name")],
}
