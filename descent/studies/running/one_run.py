"""One run of a study: made by the command line's own machinery from a merged config, trained, measured."""

import contextlib
import logging
import re
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
from descent.studies.running.recorder import Recorder, StudyError
from descent.training.build import Built, build, parse_config
from foundation.compat.jsonargparse_messages import FIRST_ERROR_OF_UNION
from foundation.files import finite
from foundation.machine_load import ALONE, MachineLoad

Outcome = dict[str, Any]
"""What is stored of a run: JSON, in which what is not finite is `None`."""

DONE, DIVERGED, CRASHED = "done", "diverged", "crashed"


@dataclass(frozen=True)
class RunOrder:
    """What is to be run.

    Args:
        config: The whole config.
        seed: Of weights, batches, augmentation, dropout.
        metric: Of the validation.
        test: Whether to open the test data after the last step.
        threads: Of torch; `None` leaves them.
    """

    config: Config
    seed: int
    metric: str
    test: bool = False
    threads: int | None = None


QUIET = {"enable_progress_bar": False, "enable_checkpointing": False, "num_sanity_val_steps": 0}
"""Options of the trainer of a study's run, which leaves no files and prints nothing."""


def check_config(config: Config) -> None:
    """Parse a config as a run would.

    Raises:
        UserError: What the command line says of it.
    """
    _parsed(config, 0)


def execute(order: RunOrder) -> Outcome:
    """Train as ordered; whatever goes wrong with this one candidate is an outcome, not an error.

    Raises:
        StudyError: Something is wrong with the study as a whole: no validation data, no such metric.
        KeyboardInterrupt: Ctrl+C.
    """
    recorder = Recorder(order.metric)
    load, started = MachineLoad(), time.monotonic()
    status, message, test = DONE, "", {}
    with _threads(order.threads), _silent():
        try:
            run = build(_parsed(order.config, order.seed), callbacks=[recorder], trainer_options=QUIET)
            _fit(run)
            if recorder.diverged or not recorder.scores:
                status = DIVERGED
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
    except SystemExit as stop:  # what Lightning makes of Ctrl+C
        raise KeyboardInterrupt from stop


def _test(run: Built) -> dict[str, float]:
    """The test metrics; empty where module or data have no test."""
    if not is_overridden("test_step", run.module, LightningModule) or not is_overridden("test_dataloader", run.data):
        return {}
    measured = run.trainer.test(run.module, datamodule=run.data, verbose=False)
    return {name: value for row in measured for name, value in row.items()}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """What a run says of itself would be said a hundred times."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def reason(error: BaseException) -> str:
    """What a run died of, in a line; of what jsonargparse lists only what a constructor said."""
    text = " ".join(str(error).split())
    said = re.search(FIRST_ERROR_OF_UNION, text)
    return (said[1] if said else text)[:300]


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
