"""The search of Lightning's `BatchSizeFinder`, before the fit instead of within it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.utilities.memory import garbage_collection_cuda, is_oom_error

from foundation.compat.lightning import BatchSizeSettings, batch_size_settings
from foundation.errors import UserError
from foundation.processes import say
from foundation.trial.fit import trainer_options, trial_fit
from foundation.trial.world import World


def split_finder(callbacks: list[Callback]) -> tuple[BatchSizeFinder | None, list[Callback]]:
    """Return the `BatchSizeFinder` among the callbacks, if there is one, and all others.

    Within a fit it changes the batch size when optimizer and schedule exist already: their length stays that of the old
    size. In `validate` and `test` it changes a size that no loader of these stages has.
    """
    finders = [callback for callback in callbacks if isinstance(callback, BatchSizeFinder)]
    others = [callback for callback in callbacks if not isinstance(callback, BatchSizeFinder)]
    return (finders[-1] if finders else None), others


def search_batch_size(
    finder: BatchSizeFinder, trainer: Trainer, module: LightningModule, data: Any, resumed: bool
) -> None:
    """Find the largest batch size that fits, on copies; then set it, and write it into the config that is saved.

    Args:
        finder: Its arguments are used.
        trainer: Whose device, precision, clipping and accumulation to use.
        module: Only copies of it are trained.
        data: The data module.
        resumed: A resumed run keeps its batch size.

    Raises:
        UserError: There are several processes or no data module, nothing has the batch size, or nothing fits.
    """
    settings = batch_size_settings(finder)
    if getattr(trainer, "fast_dev_run", False) or resumed:
        say(f"BatchSizeFinder: no search in a {'resumed run' if resumed else 'fast_dev_run'}.")
        return
    if trainer.world_size > 1:
        raise UserError("BatchSizeFinder needs one process: find the size with --trainer.devices 1, then set it.")
    holder = next((owner for owner in (module, data) if hasattr(owner, settings.name)), None)
    if data is None or holder is None:
        raise UserError(f"BatchSizeFinder: neither the module nor a data module has an attribute {settings.name}.")
    before = getattr(holder, settings.name)

    def fits(size: int) -> int | None:
        setattr(holder, settings.name, size)
        return tried(module, data, trainer, settings.steps)

    try:
        found, at_limit = largest(settings, fits)
    finally:
        setattr(holder, settings.name, before)
    setattr(holder, settings.name, found)
    finder.optimal_batch_size = found
    record(trainer, "data" if holder is data else "model", settings.name, found)
    why = "no larger one was tried" if at_limit else "a larger one does not fit into memory"
    say(f"BatchSizeFinder: {settings.name} {before} → {found} ({why}); the learning rate is not changed.")


def largest(settings: BatchSizeSettings, fits: Callable[[int], int | None]) -> tuple[int, bool]:
    """Double the size until it does not fit; with `binsearch` bisect then, and subtract the margin.

    Args:
        settings: Start, limits and mode.
        fits: Trains at a size; returns the number of training samples, or `None` if the memory was too small.

    Returns:
        The size, and whether a limit (samples, `max_val`, `max_trials`) ended the search rather than the memory.

    Raises:
        UserError: Not even one sample fits.

    Example:
        >>> settings = BatchSizeSettings("batch_size", "binsearch", 3, 2, 25, 0.0, 8192)
        >>> largest(settings, lambda size: 1000 if size <= 37 else None)
        (37, False)
        >>> largest(settings, lambda size: 1000)
        (1000, True)
    """
    good, bad, most, size = 0, None, settings.most, min(settings.start, settings.most)
    for _ in range(settings.trials):
        samples = fits(size)
        if samples is None:
            bad = size
        else:
            good, most = size, min(most, samples)
        following = next_size(good, bad, most, settings.mode)
        if following is None:
            break
        size = following
    if good == 0:
        raise UserError(f"BatchSizeFinder: not even a batch of {bad} fits into memory.")
    reduced = int(good * (1 - settings.margin)) if bad is not None and settings.mode == "binsearch" else good
    return max(1, reduced), bad is None


def next_size(good: int, bad: int | None, most: int, mode: str) -> int | None:
    """Return the size to try next, or `None` when the search has ended."""
    if bad is None:
        return min(2 * good, most) if good < most else None
    if good == 0:
        return bad // 2 or None
    return (good + bad) // 2 if mode == "binsearch" and bad - good > 1 else None


@dataclass
class StopAfter(Callback):
    """End a fit after some optimizer steps, and remember the number of training samples."""

    steps: int
    samples: int = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look up the size of the data set."""
        loader: Any = trainer.train_dataloader
        try:
            self.samples = len(loader.dataset)
        except (AttributeError, TypeError):  # no data set, or one without a length
            self.samples = 2**31

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """End after the last step."""
        if trainer.global_step >= self.steps:
            trainer.should_stop = True


def tried(module: LightningModule, data: Any, trainer: Trainer, steps: int) -> int | None:
    """Train a copy for some steps; return the number of training samples, or `None` if the memory was too small."""
    stop = StopAfter(steps)
    try:
        options = trainer_options(trainer) | {"limit_train_batches": 1.0}
        trial_fit(module, data, stop, seed=0, world=World.of(trainer, module), **options)
    except RuntimeError as error:
        if not is_oom_error(error):
            raise
        return None
    finally:
        garbage_collection_cuda()
    return stop.samples


def record(trainer: Trainer, part: str, name: str, value: int) -> None:
    """Write the size into the config that the run saves, where it is an argument of module or data."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, SaveConfigCallback):
            key = f"{part}.init_args.{name}"
            if key in callback.config:
                callback.config[key] = value
