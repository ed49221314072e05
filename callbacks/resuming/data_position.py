"""Continue in the right place of the data: any loader's order by seed and epoch, and what is done skipped."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader, IterableDataset

from callbacks.resuming.batch_order import SeededOrder
from datamodules.memory.loading import ImageLoader
from foundation.compat.lightning_loops import (
    drop_training_batches,
    forget_workers,
    restart_training_batches,
    training_loaders,
)


class DataPosition:
    """Make the training batches a function of seed and epoch, and resume within an epoch.

    A `DataLoader` gets its order from generators that are seeded at the start of each epoch; in a resumed epoch the
    indices of the batches that are done are skipped. A loader with `state_dict` and `load_state_dict`, such as
    torchdata's `StatefulDataLoader`, continues from its own state. From any other, as from an `IterableDataset`, the
    batches that are done are fetched again and dropped. Descent's own data modules do all this themselves.
    """

    def __init__(self) -> None:
        self.orders: list[SeededOrder] = []
        self.states: list[Any] = []
        """States of the loaders in the checkpoint that is resumed."""

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Remember the loaders' states of a checkpoint."""
        fit_loop = checkpoint.get("loops", {}).get("fit_loop", {})
        self.states = list(fit_loop.get("state_dict", {}).get("combined_loader", []))

    def resume(self, trainer: Trainer, seed: int) -> None:
        """Continue an epoch that was interrupted; called when training starts."""
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        states, self.states = self.states, []
        if not trainer.fit_loop.restarted_mid_epoch or not progress.processed:
            return
        done = 0 if progress.processed >= trainer.num_training_batches else progress.processed
        loaders = self._foreign(trainer)
        if loaders:
            self._restart(trainer, loaders, seed, done, states)

    def start_epoch(self, trainer: Trainer, seed: int) -> None:
        """Begin an epoch."""
        loaders = self._foreign(trainer)
        for order in self._ordered(loaders):
            order.start(seed, trainer.global_rank, trainer.current_epoch)
        fit_loop = trainer.fit_loop
        starts_itself = trainer.current_epoch > 0 and not fit_loop.is_resuming and not fit_loop.epoch_loop.restarting
        if loaders and not starts_itself:  # the iterator was made before anything was seeded
            for order in self.orders:
                forget_workers(order.loader)
            restart_training_batches(trainer)

    def end(self) -> None:
        """Give the loaders back as they were."""
        for order in self.orders:
            order.remove()
        self.orders = []

    def _foreign(self, trainer: Trainer) -> list[Any]:
        """Return the training loaders unless they resume by themselves."""
        loaders = training_loaders(trainer)
        return [] if any(isinstance(loader, ImageLoader) for loader in loaders) else loaders

    def _ordered(self, loaders: list[Any]) -> list[SeededOrder]:
        known = {id(order.loader): order for order in self.orders}
        self.orders = [
            known[id(loader)] if id(loader) in known else SeededOrder(loader, number)
            for number, loader in enumerate(loaders)
            if isinstance(loader, DataLoader) and not is_stateful(loader)
        ]
        for order in known.values():
            if order not in self.orders:
                order.remove()
        return self.orders

    def _restart(self, trainer: Trainer, loaders: list[Any], seed: int, done: int, states: list[Any]) -> None:
        orders = self._ordered(loaders)
        stateful = [is_stateful(loader) for loader in loaders]
        skips = len(loaders) == 1 and bool(orders) and not isinstance(orders[0].loader.dataset, IterableDataset)
        for order in orders:
            order.start(seed, trainer.global_rank, trainer.current_epoch, done if skips else 0)
            forget_workers(order.loader)
        resumed = all(stateful) and len(states) == len(loaders)
        if resumed and done:
            for loader, state in zip(loaders, states, strict=True):
                loader.load_state_dict(state)
        restart_training_batches(trainer)
        if not (skips or resumed) and done:
            drop_training_batches(trainer, done)
            if len(orders) < len(loaders) or any(isinstance(o.loader.dataset, IterableDataset) for o in orders):
                rank_zero_warn(unknown_position(done))


def is_stateful(loader: Any) -> bool:
    """Return whether a loader saves and restores its position."""
    return all(callable(getattr(loader, name, None)) for name in ("state_dict", "load_state_dict"))


def unknown_position(done: int) -> str:
    """Say what is done with a loader whose position cannot be restored."""
    return (
        f"The training data has no positions to continue from (an IterableDataset, or a loader without state_dict): the"
        f" first {done} batches of the epoch were read again and dropped. The result is that of the uninterrupted run"
        " only if the data yields the same samples in each pass of this epoch; torchdata's StatefulDataLoader saves"
        " the position."
    )
