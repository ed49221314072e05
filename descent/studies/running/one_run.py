"""One run of a study: made by the command line's own machinery from a merged config, trained, measured."""

import contextlib
import io
import logging
import math
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.model_helpers import is_overridden

from descent.studies.config_overlay import Config
from descent.studies.running.recorder import Recorder, StudyError
from descent.training.command_line import DescentCLI
from foundation.compat.jsonargparse_messages import FIRST_ERROR_OF_UNION
from foundation.errors import UserError
from foundation.hardware import effective_precision
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


class StudyCLI(DescentCLI):
    """The command line's objects without a run's folder: no logs, no checkpoints, no progress bar."""

    shared: ClassVar[LightningArgumentParser | None] = None
    """The parser, which takes longer to make than a small network's epoch, is the same for every run."""

    def __init__(self, args: list[str], recorder: Recorder | None) -> None:
        self.recorder = recorder
        super().__init__(args, run=False)

    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Make the parser once."""
        if StudyCLI.shared is None:
            super().setup_parser(*args, **kwargs)
            StudyCLI.shared = self.parser
        self.parser = StudyCLI.shared

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """As usual, but nothing is saved."""
        super().add_arguments_to_parser(parser)
        parser.callback_keys.remove("checkpoint")

    def instantiate_classes(self) -> None:
        """Only parse where there is nothing to record."""
        if self.recorder is not None:
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """A trainer that is watched by the recorder."""
        trainer = self.setting("trainer")
        self.save_config_callback = None
        callbacks = trainer.get("callbacks") or []
        trainer["callbacks"] = [*(callbacks if isinstance(callbacks, list) else [callbacks]), self.recorder]
        precision, _ = effective_precision(trainer.get("precision"), trainer.get("accelerator"))
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        return LightningCLI.instantiate_trainer(self, **quiet, num_sanity_val_steps=0, precision=precision, **kwargs)


def check_config(config: Config) -> None:
    """Parse a config as a run would.

    Raises:
        UserError: What the command line says of it.
    """
    _make(RunOrder(config, 0, "val/loss"), None)


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
            cli = _make(order, recorder)
            _fit(cli)
            if recorder.diverged or not recorder.scores:
                status = DIVERGED
            elif order.test:
                test = _test(cli)
        except (StudyError, KeyboardInterrupt):
            raise
        except Exception as error:
            status, message = CRASHED, f"{type(error).__name__}: {reason(error)}"
    others = load.cores()
    return _finite(
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


def _make(order: RunOrder, recorder: Recorder | None) -> StudyCLI:
    """Objects of a run, or with no recorder just its parsed config; a parse error becomes an exception."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.yaml"
        path.write_text(yaml.safe_dump(order.config, sort_keys=False, allow_unicode=True))
        try:
            with contextlib.redirect_stderr(said):
                return StudyCLI(["--config", str(path), "--seed_everything", str(order.seed)], recorder)
        except SystemExit as stop:
            text = said.getvalue().strip().removeprefix("error: ") or "its config is not accepted"
            raise UserError(text) from stop


def _fit(cli: StudyCLI) -> None:
    try:
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    except SystemExit as stop:  # what Lightning makes of Ctrl+C
        raise KeyboardInterrupt from stop


def _test(cli: StudyCLI) -> dict[str, float]:
    """The test metrics; empty where module or data have no test."""
    if not is_overridden("test_step", cli.model, LightningModule) or not is_overridden(
        "test_dataloader", cli.datamodule
    ):
        return {}
    measured = cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
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


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
