"""Find a learning rate by a range test: in a notebook, or at the start of a fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from callbacks.learning_rate.preset import module_preset, write_preset
from callbacks.learning_rate.scaling import scale_rates
from callbacks.learning_rate.search import LRSearch, smoothed_repeats
from callbacks.learning_rate.suggestions import Floats, Method, divergence, spaced_rates, suggest
from callbacks.learning_rate.sweep import LRSweep, is_distributed
from foundation.argument_checks import require_between
from foundation.errors import UserError
from foundation.loggers import report_path, run_folder
from foundation.trial.fit import trainer_options, trial_fit
from foundation.trial.world import World

BETA = 0.8  # of the smoothing: about 4 steps to each side
CONFIRM_SHARE = 0.2  # of a short training, at its end, gives the final loss


def find_lr(
    module: LightningModule,
    data: Any,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 140,
    mode: Literal["exponential", "linear"] = "exponential",
    repeats: int = 3,
    method: Method = "nine_tenths",
    optimizer: int = 0,
    confirm: bool = False,
    confirm_steps: int = 200,
    seed: int = 0,
    trainer: Trainer | None = None,
    folder: str | Path | None = None,
    **options: Any,
) -> LRSearch:
    """Train copies of the module at rising learning rates, and suggest a rate from the losses.

    The module, the data and every random stream are left as they were, even after an exception or Ctrl+C.

    Args:
        module: Each repeat starts from its present weights.
        data: A data module, or a loader of training batches; `None`: the module has a `train_dataloader`.
        low: First rate, > 0.
        high: Last rate, > `low`; the test ends earlier if the loss diverges.
        steps: Optimizer steps of a repeat, ≥ 20.
        mode: Spacing of the rates: equal ratios (exponential) or equal differences (linear).
        repeats: Number of passes, ≥ 1, each with another order of the data and other random numbers.
        method: Which suggestion is the pick; see `Suggestions`.
        optimizer: Index of the optimizer, if the module has several; the others keep their rates.
        confirm: Whether to train shortly at a third of the pick, the pick, and three times the pick.
        confirm_steps: Optimizer steps of each short training, ≥ 20.
        seed: ≥ 0.
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
        >>> search = find_lr(module, DigitsDataModule(), steps=60, repeats=1, high=100.0, accelerator="cpu")
        >>> 1e-3 < search.pick < 10
        True
    """
    check_range(low, high, steps, repeats, seed)
    passes = SweepSettings(module, data, optimizer, seed, trainer, options)
    rates = spaced_rates(low, high, steps, mode)
    sweeps = [passes.sweep(rates, repeat) for repeat in range(repeats)]
    curve, band, noise = smoothed_repeats([s.losses[: divergence(s.losses)] for s in sweeps], BETA)
    suggestions = suggest(rates, curve, noise, diverged=any(sweep.diverged for sweep in sweeps))
    losses = np.full((repeats, steps), np.nan)
    for row, sweep in zip(losses, sweeps, strict=True):
        row[: len(sweep.losses)] = sweep.losses
    pick = float(getattr(suggestions, method))
    per_group = [pick * relative for relative in sweeps[0].relative]
    search = LRSearch(rates, losses, curve, band, suggestions, method, pick, per_group)
    if confirm:
        search.confirmation = {
            rate: passes.final_loss(rate, confirm_steps, repeats) for rate in (pick / 3, pick, 3 * pick)
        }
    if folder is not None and not (is_distributed() and dist.get_rank()):
        search.save(Path(folder))
        if preset := module_preset(search, module):
            write_preset(search, preset, Path(folder))
    return search


def check_range(low: float, high: float, steps: int, repeats: int, seed: int) -> None:
    """Check the arguments of a range test."""
    if not 0 < low < high:
        raise ValueError(f"low must be > 0 and below high, got low {low:g} and high {high:g}.")
    require_between("steps", steps, 20)
    require_between("repeats", repeats, 1)
    require_between("seed", seed, 0)


@dataclass(frozen=True)
class SweepSettings:
    """What all passes of a search have in common."""

    module: LightningModule
    data: Any
    optimizer: int
    seed: int
    trainer: Trainer | None
    options: dict[str, Any]

    def sweep(self, rates: Floats, repeat: int) -> LRSweep:
        """Run one pass on a copy of module and data."""
        rank, processes = (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)
        # The epoch decides the order of the data: it differs between repeats and between processes.
        number = repeat * processes + rank
        sweep = LRSweep(rates, self.optimizer, epoch=1000 * number)
        options = self.options | trainer_options(self.trainer)
        world = World.of(self.trainer, self.module)
        trial_fit(self.module, self.data, sweep, self.seed + number, world=world, **options)
        return sweep

    def final_loss(self, rate: float, steps: int, repeat: int) -> float:
        """Train at a constant rate; return the mean of the last losses, infinity if the loss diverges."""
        losses = self.sweep(np.full(steps, rate), repeat).losses
        return float(losses[-max(int(CONFIRM_SHARE * steps), 1) :].mean()) if len(losses) == steps else float("inf")


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
        steps: int = 140,
        mode: Literal["exponential", "linear"] = "exponential",
        repeats: int = 3,
        method: Method = "nine_tenths",
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
