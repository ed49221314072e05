"""The finders that are compared: each returns a rate and the optimizer steps that it took."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.tuner.tuning import Tuner

from benchmarks.lr_problems.modules import ProblemData, ProblemModule
from benchmarks.lr_problems.problems import OPTIMIZERS, STEPS, Problem
from benchmarks.lr_problems.tasks import task
from callbacks.learning_rate.finder import find_lr
from foundation.errors import UserError
from lightning_modules.optimizers.schedule_free import schedule_free

Found = tuple[float, int]
NOTHING = float("nan")
STANDARD = 100  # steps of Lightning's and fastai's searches


def ours(problem: Problem, seed: int, **options: Any) -> Found:
    """Search with `find_lr` for a run of 200 steps."""
    module = ProblemModule(problem, seed)
    try:
        search = find_lr(module, ProblemData(problem), seed=seed, run_steps=STEPS, accelerator="cpu", **options)
    except UserError as error:
        print(problem, "refused:", error, flush=True)
        return NOTHING, 0
    return search.pick, search.steps


def confirmed(problem: Problem, seed: int) -> Found:
    """Search with `--confirm`."""
    return ours(problem, seed, confirm=True)


def nine_tenths(problem: Problem, seed: int) -> Found:
    """Search as `find_lr` did before: three passes of 140 steps, and where nine tenths of the fall are done."""
    return ours(problem, seed, method="nine_tenths", steps=140, repeats=3)


def default(problem: Problem, seed: int) -> Found:
    """Take the rate of the optimizer's preset."""
    return problem.default, 0


def lightning(problem: Problem, seed: int) -> Found:
    """Search with Lightning's `Tuner.lr_find` and its defaults."""
    module = ProblemModule(problem, seed)
    with tempfile.TemporaryDirectory() as folder:  # where it keeps the weights meanwhile
        trainer = Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, max_epochs=1000, limit_val_batches=0, default_root_dir=folder,
        )  # fmt: skip
        found = Tuner(trainer).lr_find(module, ProblemData(problem), num_training=STANDARD, update_attr=False)
    return float((found.suggestion() if found else None) or NOTHING), STANDARD


def fastai(problem: Problem, seed: int) -> Found:
    """Search with fastai's `Learner.lr_find` and its default rule, `valley`."""
    from fastai.callback.schedule import valley  # type: ignore[import-not-found]
    from fastai.data.core import DataLoaders  # type: ignore[import-not-found]
    from fastai.learner import Learner  # type: ignore[import-not-found]
    from fastai.optimizer import OptimWrapper  # type: ignore[import-not-found]

    def made(params: Any, **kwargs: Any) -> Any:
        built = OPTIMIZERS[problem.optimizer](params, **kwargs)
        if schedule_free(built):
            built.train()
        return built

    module, data = ProblemModule(problem, seed), ProblemData(problem)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        learner = Learner(
            DataLoaders(data.train_dataloader(), data.val_dataloader()),
            copy.deepcopy(module.network),
            loss_func=task(problem.task).loss,
            opt_func=lambda params, **kwargs: OptimWrapper(params, made, **kwargs),
            path=Path(folder),
        )
        with learner.no_bar(), learner.no_logging():
            found = learner.lr_find(num_it=STANDARD, show_plot=False, suggest_funcs=(valley,))
    return float(found.valley), STANDARD


FINDERS: dict[str, Callable[[Problem, int], Found]] = {
    "find-lr": ours,
    "find-lr --confirm": confirmed,
    "nine_tenths (before)": nine_tenths,
    "Lightning": lightning,
    "fastai": fastai,
    "default": default,
}
