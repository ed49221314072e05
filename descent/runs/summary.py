"""The last lines that a fit prints: results, folder, and the commands that use the run."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from callbacks.reporting.baseline import baseline
from callbacks.target import Target
from datamodules import ImageDataModule
from descent.runs.findings import findings, outcome_of
from descent.runs.folder import Run
from foundation.files import shown
from foundation.metrics.names import canonical
from foundation.terminal.folding import folded, terminal_width
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor, Segmenter


def fit_summary(run: Run, trainer: Any, trained: bool = True) -> str:
    """Return the last lines of a fit: validation results, folder, and the commands that use its best checkpoint.

    The results are folded to fit the terminal; a command stays in one line, to be copied.

    Args:
        run: The run.
        trainer: Its trainer.
        trained: Whether it took a step. A run that had reached its end before has validated nothing.
    """
    saver = trainer.checkpoint_callback
    score = getattr(saver, "best_model_score", None)
    best = f"; best {getattr(saver, 'logged_as', saver.monitor)} {float(score):.4f}" if score is not None else ""
    results = folded(f"validation  {validation_results(trainer) or 'none'}{best}", terminal_width())
    lines = ["", *([results] if trained else []), f"run folder  {shown(run.folder)}"]
    if (reason := early_stop(trainer)) is not None:
        lines.append(f"stopped     early: {reason}")
    lines += [f"target      {text}" for each in targets(trainer) if (text := each.told()) is not None]
    outcome = outcome_of(trainer, shown(run.config))
    lines += [warning(each) for each in (findings(outcome) if outcome is not None else [])]
    checkpoints = saved_checkpoints(run, saver)
    if not checkpoints:
        return "\n".join([*lines, "checkpoint  none was saved"])
    first, own = checkpoints[0].absolute(), run.checkpoint("best").absolute()
    inside = first.parent == own.parent
    file = shown(run.folder if first == own else first)  # the folder of a run means its best checkpoint
    config = "" if inside else f"-c {shown(run.config)} "  # a checkpoint elsewhere does not lead to its run's config
    resumed = shown(run.folder) if inside else shown(checkpoints[-1])
    lines.append(f"test        descent test {config}--ckpt_path {file}")
    if (more := more_training(trainer)) is not None:
        lines.append(f"resume      descent fit {config}--ckpt_path {resumed}{more}")
    return "\n".join([*lines, *uses_of(file, trainer)])


def warning(sentence: str) -> str:
    """Return the lines of a finding; a command at its end has a line of its own, to be copied."""
    text, colon, command = sentence.partition(": descent ")
    lines = [folded(f"warning     {text}{':' if colon else ''}", terminal_width())]
    return "\n".join([*lines, *([f"{'':12}descent {command}"] if colon else [])])


def stopped(run: Run) -> str:
    """Return the line of a run that a signal has ended: how to go on, or that nothing was saved."""
    if not run.checkpoint("last").is_file():
        return "stopped before the first checkpoint: nothing was saved."
    return f"stopped     resume with: descent fit --ckpt_path {shown(run.folder)}"


def validation_results(trainer: Any) -> str:
    """Return the newest validation results; those of an earlier epoch than the last one say which."""
    measured = getattr(trainer.checkpoint_callback, "measured", None)
    older = measured.older() if measured is not None else {}
    parts: dict[str, list[str]] = {}
    for name, value in sorted(trainer.callback_metrics.items()):
        if canonical(name).startswith("val/"):
            when = f" (of epoch {older[name] + 1}; none after it)" if name in older else ""
            parts.setdefault(when, []).append(f"{name.removeprefix('val/')} {float(value):.4f}{beside(trainer, name)}")
    return "; ".join(", ".join(values) + when for when, values in parts.items())


def beside(trainer: Any, name: str) -> str:
    """Return what the most common answer would give, beside an accuracy."""
    found = baseline(trainer, "val") if name == "val/accuracy" else None
    return "" if found is None else f" ({found})"


def early_stop(trainer: Any) -> str | None:
    """Return why early stopping ended the run; `None` if it did not."""
    for stopper in trainer.callbacks:
        if isinstance(stopper, EarlyStopping) and stopper.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            return (stopper.stopping_reason_message or "").removesuffix(" Signaling Trainer to stop.")
    return None


def targets(trainer: Any) -> list[Target]:
    """Return the callbacks that end the run at a target."""
    return [callback for callback in trainer.callbacks if isinstance(callback, Target)]


def more_training(trainer: Any) -> str | None:
    """Return the options that make a resumed run train twice as long; `None` if it would stop again.

    Each limit that ended the run is doubled: epochs, steps, time.
    """
    if early_stop(trainer) is not None or any(target.reached for target in targets(trainer)):
        return None
    options = ""
    if trainer.max_epochs not in (None, -1) and trainer.fit_loop.epoch_progress.current.completed >= trainer.max_epochs:
        options += f" --trainer.max_epochs {2 * trainer.max_epochs}"
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        options += f" --trainer.max_steps {2 * trainer.max_steps}"
    for timer in trainer.callbacks:
        left = timer.time_remaining() if isinstance(timer, Timer) else None
        if isinstance(timer, Timer) and left is not None and left <= 0:
            options += f" --trainer.max_time {as_duration(2 * (timer.time_elapsed() + left))}"
    return options


def as_duration(seconds: float) -> str:
    """Return a duration as the Trainer takes it, `DD:HH:MM:SS`.

    Example:
        >>> as_duration(93784.2)
        '01:02:03:05'
    """
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days:02d}:{hours:02d}:{minutes:02d}:{rest:02d}"


def saved_checkpoints(run: Run, saver: Any) -> list[Path]:
    """List the checkpoints that the run has, the best first and the last one last.

    Args:
        run: The run.
        saver: The trainer's checkpoint callback, which may save elsewhere; `None`: the run has none.
    """
    own = [run.checkpoint("best"), run.checkpoint("last")]
    paths = [getattr(saver, name, None) for name in ("best_model_path", "last_model_path")]
    elsewhere = [Path(path) for path in paths if path]
    return [path for path in [*elsewhere, *(own if not elsewhere else [])] if path.is_file()]


def uses_of(file: str, trainer: Any) -> list[str]:
    """List the commands for a network: its evaluation, and for an image classifier predictions and a file to export."""
    evaluate = [f"evaluate    descent evaluate --ckpt_path {file}"] if has_an_evaluation(trainer) else []
    if not classifies_images(trainer):
        return evaluate
    return [
        *evaluate,
        f"predict     descent predict --ckpt_path {file} --images FOLDER",
        f"export      descent export --ckpt_path {file} --to {'onnx' if find_spec('onnxscript') else 'torch'}",
    ]


def has_an_evaluation(trainer: Any) -> bool:
    """Return whether `descent evaluate` has a report for this task and these data."""
    tasks = (ImageClassifier, BinaryClassifier, MultilabelClassifier, Regressor, Segmenter)
    return isinstance(trainer.lightning_module, tasks) and isinstance(trainer.datamodule, ImageDataModule)


def classifies_images(trainer: Any) -> bool:
    """Return whether the input is an image and the output a class; a row of a table is an image of 1 × 1 pixel."""
    kinds = (ImageClassifier, BinaryClassifier, MultilabelClassifier)
    return isinstance(trainer.lightning_module, kinds) and max(getattr(trainer.datamodule, "image_size", (1, 1))) > 1
