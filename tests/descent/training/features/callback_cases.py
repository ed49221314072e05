"""What happens with each callback of Lightning."""

from typing import Any

from tests.descent.training.features.flag_cases import BEST, LAST, values
from tests.descent.training.features.sweep import Case, Outcome


def added(name: str, happens: str = "", check: Any = None, also: str = "", **arguments: Any) -> Case:
    """Return the case of a callback with arguments; `also` is typed behind it."""
    words = [
        f"--trainer.callbacks+ {name}",
        *(f"--trainer.callbacks.{key} {value}" for key, value in arguments.items()),
    ]
    return Case(" ".join([*words, also]).strip(), happens, check or (lambda outcome: outcome.steps == 2))


def logs(column: str) -> Any:
    return lambda outcome: any(values(outcome, column))


def has_average(outcome: Outcome) -> bool:
    return outcome.has(LAST) and outcome.has(BEST) and outcome.steps == 2


PRUNING = {"pruning_fn": "l1_unstructured"}

CALLBACKS: dict[str, list[Case]] = {
    "BackboneFinetuning": [added("BackboneFinetuning")],
    "BaseFinetuning": [added("BaseFinetuning")],
    "BasePredictionWriter": [added("BasePredictionWriter", write_interval="batch")],
    "BatchSizeFinder": [
        added(
            "BatchSizeFinder",
            "searches on copies before the fit; schedule, data and saved config have the size that was found",
            lambda o: o.cli.datamodule.batch_size == 4 and "BatchSizeFinder: batch_size 16 → 4" in o.said,
            steps_per_trial=1,
            max_val=4,
        )
    ],
    "Callback": [added("Callback", "the base class: does nothing")],
    "Checkpoint": [added("Checkpoint")],
    "DeviceStatsMonitor": [
        added(
            "DeviceStatsMonitor",
            "logs memory and load of the device; of a CPU with `cpu_stats` and the package psutil",
            lambda o: o.steps == 2,
        )
    ],
    "EarlyStopping": [
        added(
            "EarlyStopping",
            "ends a run that no longer improves; `callbacks/early_stopping.yaml` has these arguments",
            lambda o: o.steps == 2,
            monitor="val/loss",
            patience=3,
        )
    ],
    "GradientAccumulationScheduler": [
        added(
            "GradientAccumulationScheduler",
            "accumulates by epoch; schedules get the right length",
            lambda o: o.steps == 3 and o.trainer.optimizers[0].param_groups[0]["lr"] == 0,
            also="--trainer.max_epochs 2",
            scheduling="'{0: 1, 1: 2}'",
        )
    ],
    "LambdaCallback": [
        Case(
            "--trainer.callbacks+ LambdaCallback --trainer.callbacks.on_fit_end "
            "tests.descent.training.features.networks.hook",
            "calls functions, which a config names by their path",
            lambda o: "the hook was called" in o.said,
            shown="--trainer.callbacks+ LambdaCallback --trainer.callbacks.on_fit_end mine.hook",
        )
    ],
    "LearningRateFinder": [added("LearningRateFinder")],
    "LearningRateMonitor": [
        added(
            "LearningRateMonitor",
            "logs the rate a second time, as lr-AdamW; every run logs it as lr",
            lambda o: logs("lr-AdamW")(o) and logs("lr")(o),
        )
    ],
    "ModelCheckpoint": [
        added(
            "ModelCheckpoint",
            "saves epoch=0-step=2.ckpt beside the run's own best.ckpt and last.ckpt",
            lambda o: o.has("checkpoints/epoch=0-step=2.ckpt") and o.has(LAST) and o.has(BEST),
        ),
        added("ModelCheckpoint", save_last="true"),
        added("ModelCheckpoint", filename="best"),
    ],
    "ModelPruning": [
        added(
            "ModelPruning",
            "prunes at the end of each epoch; the checkpoint holds the pruned weights",
            lambda o: sum(int((p == 0).sum()) for p in o.cli.model.parameters()) > 100,
            also="--model.channels_last false",
            **PRUNING,
        ),
        added("ModelPruning", **PRUNING),
        added("ModelPruning", also="--model.channels_last false --trainer.callbacks+ EMAWeightAveraging", **PRUNING),
    ],
    "ModelSummary": [added("ModelSummary", "as `--trainer.enable_model_summary true`")],
    "OnExceptionCheckpoint": [added("OnExceptionCheckpoint", dirpath="elsewhere")],
    "ProgressBar": [
        added("ProgressBar", "the base class: no line per epoch", lambda o: "train loss" not in o.said and o.steps == 2)
    ],
    "RichModelSummary": [added("RichModelSummary", "prints the table of layers in colour")],
    "RichProgressBar": [
        added("RichProgressBar", "takes the place of the lines per epoch", lambda o: "train loss" not in o.said)
    ],
    "StochasticWeightAveraging": [
        added("StochasticWeightAveraging", swa_lrs="0.01"),
        Case(
            "--trainer.callbacks+ callbacks/swa.yaml",
            "validates and saves the mean of the weights over the last quarter of the run",
            has_average,
        ),
    ],
    "SpikeDetection": [
        added("SpikeDetection", "ends a run whose loss jumps; `callbacks/black_box.yaml` also repeats the step")
    ],
    "ThroughputMonitor": [
        added(
            "ThroughputMonitor",
            "logs batches and samples per second",
            lambda o: "device/batches_per_sec" in o.rows,
            also="--trainer.limit_train_batches 4",
            batch_size_fn="builtins.len",
            window_size="2",
        )
    ],
    "Timer": [added("Timer", "ends the run after ten minutes at the latest", duration="00:00:10:00")],
    "TQDMProgressBar": [
        added("TQDMProgressBar", "takes the place of the lines per epoch", lambda o: "train loss" not in o.said)
    ],
    "EMAWeightAveraging": [
        added("EMAWeightAveraging", "validates and saves the average; `callbacks/ema.yaml` is better", has_average)
    ],
    "WeightAveraging": [
        added("WeightAveraging", "validates and saves the average of all steps", has_average),
        added("WeightAveraging", also="--trainer.callbacks+ EMAWeightAveraging"),
    ],
}
