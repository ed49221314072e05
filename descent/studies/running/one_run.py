"""One run of a study: build it from a config as the command line does, train, and record the outcome."""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_helpers import is_overridden

from descent.studies.config_overlay import Config
from descent.studies.running.recorder import Recorder, StopRule, StudyError
from descent.studies.running.tested import TestRecorder
from descent.training.build import Built, build, parse_config
from descent.training.features.flags import check_that_it_trains
from foundation.files import finite
from foundation.machine_load import ALONE, MachineLoad

Outcome = dict[str, Any]
"""What is stored of a run: JSON values, `None` in place of infinite values and NaN."""

DONE, DIVERGED, CRASHED, STOPPED = "done", "diverged", "crashed", "stopped"


@dataclass(frozen=True)
class RunOrder:
    """Everything that determines a run.

    Args:
        config: The complete config.
        seed: Seed of weights, batches, augmentation and dropout.
        metric: The validation metric to record.
        test: Whether to compute the test metrics after training.
        threads: Number of torch threads; `None` leaves torch's setting.
        stop: When to stop the run before its end; `None` for never.
    """

    config: Config
    seed: int
    metric: str
    test: bool = False
    threads: int | None = None
    stop: StopRule | None = None


QUIET = {"enable_progress_bar": False, "enable_checkpointing": False, "num_sanity_val_steps": 0}
"""Trainer options of a study's run: no files, no output."""


def check_config(config: Config) -> None:
    """Parse a config as a run does, and check that the run would take a step.

    Raises:
        UserError: The config is not valid; the message is that of the command line.
    """
    check_that_it_trains(_parsed(config, 0).trainer)


def execute(order: RunOrder) -> Outcome:
    """Train, and return the outcome; an error of this one candidate is an outcome too, with status `crashed`.

    Raises:
        StudyError: The study as a whole cannot continue: there is no validation data, or no such metric.
        KeyboardInterrupt: Ctrl+C was pressed.
    """
    recorder, of_test = Recorder(order.metric, order.stop), TestRecorder()
    load, started = MachineLoad(), time.monotonic()
    status, message, test = DONE, "", {}
    with _threads(order.threads), _silent():
        try:
            run = build(_parsed(order.config, order.seed), callbacks=[recorder, of_test], trainer_options=QUIET)
            _fit(run)
            if recorder.diverged or not recorder.scores:
                status = DIVERGED
            elif recorder.stopped:
                status = STOPPED
            elif order.test:
                test = _test(run)
        except (StudyError, KeyboardInterrupt):
            raise
        except Exception as error:
            status, message = CRASHED, f"{type(error).__name__}: {reason(error)}"
    others = load.cores()
    return finite(
        {
            "status": status,
            "message": message,
            "score": recorder.scores[-1] if recorder.scores and status == DONE else None,
            "test": test,
            "tested": of_test.tested,
            "steps": recorder.steps,
            "seconds": recorder.seconds,
            "scores": recorder.scores,
            "train_scores": recorder.train_scores,
            "train_losses": recorder.train_losses,
            "split": recorder.split,
            "bytes_per_parameter": recorder.bytes_per_parameter,
            "weights": recorder.weights,
            "batches": recorder.batches,
            "wall": time.monotonic() - started,
            "others": others,
            "alone": None if others is None else others <= ALONE,
        }
    )


def _parsed(config: Config, seed: int) -> Namespace:
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return parse_config(["--config", text, "--seed_everything", str(seed)])


def _fit(run: Built) -> None:
    try:
        run.trainer.fit(run.module, datamodule=run.data)
    except SystemExit as stop:  # Lightning turns Ctrl+C into it
        raise KeyboardInterrupt from stop


def _test(run: Built) -> dict[str, float]:
    """Compute the test metrics; none if the module has no test step or the data no test set."""
    if not is_overridden("test_step", run.module, LightningModule) or not is_overridden("test_dataloader", run.data):
        return {}
    measured = run.trainer.test(run.module, datamodule=run.data, verbose=False)
    return {name: value for row in measured for name, value in row.items()}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Suppress warnings and log messages, which every run of the study would repeat."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def reason(error: BaseException) -> str:
    """Return an error's message in one line."""
    return " ".join(str(error).split())[:300]


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
