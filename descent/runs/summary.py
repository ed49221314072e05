"""The last lines that a fit prints: results, folder, and the commands that use the run."""

from pathlib import Path
from typing import Any

from descent.runs.folder import Run
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier


def fit_summary(run: Run, trainer: Any) -> str:
    """Return the last lines of a fit: validation results, folder, and the commands that use its best checkpoint."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    values = ", ".join(f"{name.removeprefix('val/')} {value:.4f}" for name, value in sorted(metrics.items()))
    saver = trainer.checkpoint_callback
    score = getattr(saver, "best_model_score", None)
    best = f"; best {saver.monitor} {float(score):.4f}" if score is not None else ""
    lines = ["", f"validation  {values or 'none'}{best}", f"run folder  {shown(run.folder)}"]
    checkpoints = saved_checkpoints(run, saver)
    if not checkpoints:
        return "\n".join([*lines, "checkpoint  none was saved"])
    file, inside = shown(checkpoints[0]), checkpoints[0].absolute().parent == run.checkpoint("last").absolute().parent
    config = "" if inside else f"-c {shown(run.config)} "  # a checkpoint elsewhere does not lead to its run's config
    resumed = shown(run.folder) if inside else shown(checkpoints[-1])
    lines += [
        f"test        descent test {config}--ckpt_path {file}",
        f"resume      descent fit {config}--ckpt_path {resumed} --trainer.max_epochs {2 * (trainer.max_epochs or 1)}",
    ]
    return "\n".join([*lines, *(uses_of(file, trainer.lightning_module) if classifies_images(trainer) else [])])


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


def uses_of(file: str, module: Any) -> list[str]:
    """List the commands for an image classifier; multilabel results come from `descent test` alone."""
    evaluate = [f"evaluate    descent evaluate --ckpt_path {file}"]
    return [
        *(evaluate if not isinstance(module, MultilabelClassifier) else []),
        f"predict     descent predict --ckpt_path {file} --images FOLDER_OR_FILES",
        f"export      descent export --ckpt_path {file} --to onnx",
    ]


def classifies_images(trainer: Any) -> bool:
    """Return whether the input is an image and the output a class; a row of a table is an image of 1 × 1 pixel."""
    kinds = (ImageClassifier, BinaryClassifier, MultilabelClassifier)
    return isinstance(trainer.lightning_module, kinds) and max(getattr(trainer.datamodule, "image_size", (1, 1))) > 1


def shown(path: Path) -> str:
    """Return a path as one would type it: relative to the working folder where it lies below."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
