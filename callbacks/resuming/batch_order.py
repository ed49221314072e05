"""The order of a loader's batches as a function of seed and epoch, and random numbers in the data set by batch."""

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader


def number_from(*key: Any) -> int:
    """Return 64 bits that depend on every part of a key."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big")


class SeededBatch(list[Any]):
    """The indices of a batch; whoever fetches its samples, also a worker, has its random generators seeded by it.

    Args:
        indices: Of the samples.
        seed: Of python, numpy and torch.
    """

    def __init__(self, indices: Any, seed: int) -> None:
        super().__init__(indices)
        self.seed = seed

    def __iter__(self) -> Iterator[Any]:
        seed_process(self.seed)
        return super().__iter__()

    def __reduce__(self) -> Any:
        return SeededBatch, (tuple(list.__iter__(self)), self.seed)  # without seeding the process that sends it


def seed_process(seed: int) -> None:
    """Seed python, numpy and torch on the CPU."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  the generator that data sets draw from
    torch.default_generator.manual_seed(seed % 2**63)


class SeededOrder:
    """Stands before a loader's `batch_sampler`, or its `sampler` where samples are not batched.

    Each pass begins with the random generators in a state that depends on seed and epoch only, whatever was drawn
    before, and so does each batch.

    Args:
        loader: Its generators and those of its samplers are seeded; where there are none, they get some.
        number: Of the loader, if there are several.
    """

    def __init__(self, loader: DataLoader[Any], number: int) -> None:
        self.loader, self.number = loader, number
        self.place = "sampler" if loader.batch_sampler is None else "batch_sampler"
        self.inner: Any = getattr(loader, self.place)
        self.skip = 0
        self.key: tuple[Any, ...] = ()
        self.given: list[tuple[Any, Any]] = []
        """Holders of generators, and the generator that each had."""
        self.generators: list[tuple[torch.Generator, int | None]] = []
        holders = [loader, loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)]
        for holder in dict.fromkeys(holder for holder in holders if "generator" in getattr(holder, "__dict__", {})):
            generator = holder.generator  # type: ignore[union-attr]
            self.given.append((holder, generator))
            if generator is None:
                holder.generator = torch.Generator()  # type: ignore[union-attr]
            own = None if generator is None else generator.initial_seed()
            self.generators.append((holder.generator, own))  # type: ignore[union-attr]
        vars(loader)[self.place] = self

    def remove(self) -> None:
        """Give the loader back what it had."""
        vars(self.loader)[self.place] = self.inner
        for holder, generator in self.given:
            holder.generator = generator

    def start(self, seed: int, rank: int, epoch: int, skip: int = 0) -> None:
        """Begin an epoch.

        Args:
            seed: Of the run.
            rank: Of the process; the order does not depend on it, as samplers that share samples out rely on that.
            epoch: From 0.
            skip: Batches that are done.
        """
        self.key, self.skip = (seed, rank, epoch, self.number), skip
        for place, (generator, own) in enumerate(self.generators):
            generator.manual_seed(number_from("order", seed, epoch, self.number, place, own) % 2**63)
        for sampler in (self.loader.sampler, self.inner, getattr(self.inner, "sampler", None)):
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)  # type: ignore[union-attr]

    def __iter__(self) -> Iterator[Any]:
        key, skip, self.skip = self.key, self.skip, 0
        seed_process(number_from("pass", key[0], *key[2:]))
        for number, indices in enumerate(self.inner):
            if number < skip:
                continue
            seed = number_from("batch", key, number)
            if isinstance(indices, (list, tuple)):
                yield SeededBatch(indices, seed)
            else:
                if not self.loader.num_workers:
                    seed_process(seed)
                yield indices

    def __len__(self) -> int:
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)
