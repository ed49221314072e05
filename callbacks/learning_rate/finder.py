"""Find a learning rate by a range test and short trainings: in a notebook, or at the start of a fit."""

from pathlib import Path
from typing import Any, Literal

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from callbacks.learning_rate.decision import decide
from callbacks.learning_rate.passes import Passes, range_test
from callbacks.learning_rate.preset import module_preset, write_preset
from callbacks.learning_rate.scaling import scale_rates
from callbacks.learning_rate.search import LRSearch
from callbacks.learning_rate.suggestions import Method, spaced_rates
from callbacks.learning_rate.sweep import is_distributed
from foundation.argument_checks import require_between
from foundation.errors import UserError
from foundation.loggers import report_path, run_folder

MOST_STEPS = 10_000
"""Optimizer steps of a pass: more are a slip of the keyboard."""


def find_lr(
    module: LightningModule,
    data: Any,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 60,
    mode: Literal["exponential", "linear"] = "exponential",
    repeats: int = 1,
    method: Method = "short_runs",
    optimizer: int = 0,
    confirm: bool = False,
    confirm_steps: int = 100,
    seed: int = 0,
    run_steps: int | None = None,
    trainer: Trainer | None = None,
    folder: str | Path | None = None,
    **options: Any,
) -> LRSearch:
    """Train copies of the module at rising learning rates, then shortly at some rates, and choose the best for the run.

    The range test (60 steps) says where to begin. Five runs of 15 steps and two of 30 follow, with the schedule of the
    whole run compressed to their length, all from the same weights and on the same batches; held-out batches judge
    them. The best rate falls with the length of a run, so the result is carried over to the length of the run.

    The module, the data and every random stream are left as they were, even after an exception or Ctrl+C.

    Args:
        module: Each repeat starts from its present weights.
        data: A data module, or a loader of training batches; `None`: the module has a `train_dataloader`. Validation
            batches of a data module judge the short runs; without any, batches of the training data do.
        low: First rate, > 0.
        high: Last rate, > `low`; the test ends earlier if the loss diverges.
        steps: Optimizer steps of a repeat of the range test, in [20, 10000].
        mode: Spacing of the rates: equal ratios (exponential) or equal differences (linear).
        repeats: Number of passes, in [1, 100], each with another order of the data and other random numbers.
        method: `short_runs`, or which suggestion of the range test is the pick; see `Suggestions`.
        optimizer: Index of the optimizer, if the module has several; the others keep their rates.
        confirm: Whether to add up to four longer runs around the pick.
        confirm_steps: Optimizer steps of each of them, in [20, 10000].
        seed: ≥ 0.
        run_steps: Optimizer steps of the run that the rate is for, ≥ 1; by default those of the trainer's run, 1000 if
            they are not known.
        trainer: Whose device, precision, clipping and accumulation to use.
        folder: Where to write `lr_finder.png`, `.csv` and `.json`, and `lr_finder.yaml` for `fit -c` if the module has
            an `optimizer` that is a `functools.partial`; `None`: nowhere.
        **options: Of the trainer if no `trainer` is given, such as `precision="bf16-mixed"`.

    Raises:
        ValueError: An argument is outside its range.
        UserError: No rate can be suggested from the losses; the message says what to change.

    Example:
        >>> import torch; from functools import partial
        >>> from datamodules import DigitsDataModule; from lightning_modules import ImageClassifier
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> module = ImageClassifier(network, partial(torch.optim.SGD, lr=0.1))
        >>> search = find_lr(module, DigitsDataModule(), high=100.0, run_steps=200, accelerator="cpu")
        >>> 1e-3 < search.pick < 10, search.steps <= 200
        (True, True)
    """
    check_range(low, high, steps, repeats, seed)
    require_between("confirm_steps", confirm_steps, 20, MOST_STEPS)
    require_between("run_steps", run_steps or 1, 1)
    passes = Passes(module, data, optimizer, seed, trainer, options)
    test = range_test(passes, spaced_rates(low, high, steps, mode), repeats)
    search = decide(test, passes, method, (low, high), run_steps, confirm_steps if confirm else 0)
    if folder is not None and not (is_distributed() and dist.get_rank()):
        search.save(Path(folder))
        if preset := module_preset(search, module):
            write_preset(search, preset, Path(folder))
    return search


def check_range(low: float, high: float, steps: int, repeats: int, seed: int) -> None:
    """Check the arguments of a range test."""
    if not 0 < low < high:
        raise ValueError(f"low must be > 0 and below high, got low {low:g} and high {high:g}.")
    require_between("steps", steps, 20, MOST_STEPS)
    require_between("repeats", repeats, 1, 100)
    require_between("seed", seed, 0)


class LRFinder(Callback):
    """Find a learning rate when a fit starts, and scale the schedule to it.

    The highest rate of the schedule (cosine's first, a warmup's last, OneCycle's peak) becomes the pick; the ratios
    between parameter groups stay. Nothing else changes: with `apply: false` the run ends with the same bits as without
    the search. A resumed run is not searched, and keeps the rate of its checkpoint.

    Writes `lr_finder.png`, `lr_finder.csv` and `lr_finder.json` into the run's folder; logs nothing.

    Args:
        apply: Whether to use the pick.
        low: See `find_lr`, as for the following arguments.
        high: See `find_lr`.
        steps: See `find_lr`.
        mode: See `find_lr`.
        repeats: See `find_lr`.
        method: See `find_lr`.
        seed: See `find_lr`.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        apply: bool = True,
        low: float = 1e-6,
        high: float = 10.0,
        steps: int = 60,
        mode: Literal["exponential", "linear"] = "exponential",
        repeats: int = 1,
        method: Method = "short_runs",
        seed: int = 0,
    ) -> None:
        check_range(low, high, steps, repeats, seed)
        self.apply = apply
        self.arguments: dict[str, Any] = {"low": low, "high": high, "steps": steps, "mode": mode}
        self.arguments |= {"repeats": repeats, "method": method, "seed": seed}
        self.search: LRSearch | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Search, write the files, and apply the pick."""
        if trainer.ckpt_path is not None:
            rank_zero_info("LRFinder: no search, as the resumed run keeps the learning rate of its checkpoint.")
            return
        if getattr(trainer, "fast_dev_run", False):
            rank_zero_info("LRFinder: no search in a fast_dev_run.")
            return
        self.search = find_lr(pl_module, training_data(trainer), trainer=trainer, **self.arguments)
        folder = run_folder(trainer)  # a broadcast: every process calls it
        if trainer.is_global_zero:
            print(self.search.summary())
            self.search.save(folder, report_path(trainer, folder, "lr_finder.json").stem)
        if self.apply:
            scale_rates(trainer, self.search.pick)


def training_data(trainer: Trainer) -> Any:
    """Return the trainer's data module, or its training loader.

    Raises:
        UserError: It has neither.
    """
    data: Any = getattr(trainer, "datamodule", None)
    if data is None:
        trainer.fit_loop.setup_data()
        data = trainer.train_dataloader
    if data is None:
        raise UserError("There is no training data to search with: give fit a data module or a loader.")
    return data
