"""The order of any loader depends on seed and epoch, and a resumed epoch continues where it was."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, WeightedRandomSampler

from callbacks import ExactResume
from callbacks.resuming.batch_order import SeededBatch
from foundation.random_streams import random_state
from tests.anyone.data import Listed, Noisy, pairs, vectors
from tests.anyone.plain import Plain
from tests.anyone.running import Keep, fit
from tests.anyone.styles import Style

pytestmark = pytest.mark.filterwarnings("ignore")


class Remembers(Plain):
    """Remembers the first number of each sample that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        first = batch[0] if isinstance(batch[0], Tensor) else batch[0][0]
        self.given.append((self.current_epoch, batch_idx, *first[:, 0].tolist()))
        return super().training_step(batch if isinstance(batch[0], Tensor) else batch[0], batch_idx)


class Stateful:
    """A loader that saves its position, as torchdata's does."""

    def __init__(self) -> None:
        self.done = 0

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[Any]:
        start, self.done = self.done, 0
        for number in range(start, 6):
            self.position = number + 1
            points, targets = vectors().tensors
            yield points[4 * number : 4 * number + 4], targets[4 * number : 4 * number + 4]

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done = state["position"]


def two_loaders() -> Any:
    return [DataLoader(Noisy(pairs()), 4, shuffle=True), DataLoader(Noisy(pairs()[:10]), 4, shuffle=True)]


LOADERS: dict[str, Any] = {
    "shuffled": lambda: DataLoader(Noisy(pairs()), 4, shuffle=True),
    "own generator": lambda: DataLoader(Noisy(pairs()), 4, shuffle=True, generator=torch.Generator().manual_seed(7)),
    "workers": lambda: DataLoader(Noisy(pairs()), 4, shuffle=True, num_workers=2),
    "persistent workers": lambda: DataLoader(Noisy(pairs()), 4, shuffle=True, num_workers=1, persistent_workers=True),
    "weighted": lambda: DataLoader(vectors(), 4, sampler=WeightedRandomSampler([1.0] * 12 + [3.0] * 12, 24)),
    "drop_last": lambda: DataLoader(vectors(22), 4, shuffle=True, drop_last=True),
    "sampler of samples": lambda: DataLoader(
        Listed([vectors()[4 * i : 4 * i + 4] for i in range(6)]), None, sampler=RandomSampler(range(6))
    ),
    "two loaders": two_loaders,
    "stateful": Stateful,
}


@pytest.mark.parametrize("name", LOADERS)
def test_a_resumed_run_is_given_the_same_batches(tmp_path: Path, name: str) -> None:
    def keeping(folder: Path, seed: int, resume: Path | None = None) -> Remembers:
        folder.mkdir()
        style = Style(Remembers, lambda: (LOADERS[name](), None))
        callbacks = [ExactResume(seed=3), Keep(monitor=None, every_n_train_steps=1)]
        return fit(style, folder, callbacks, seed=seed, resume=resume, max_epochs=3)  # type: ignore[return-value]

    whole = keeping(tmp_path / "whole", seed=1).given
    epochs = [[row[2:] for row in whole if row[0] == epoch] for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] or name == "stateful"  # another order in each epoch
    files = sorted((tmp_path / "whole").glob("*.ckpt"))
    middle = next(file for file in files if file.name.startswith("1-middle"))
    end = next(file for file in files if file.name.startswith("1-end"))
    for number, file in enumerate((middle, end)):
        again = keeping(tmp_path / f"again{number}", seed=50 + number, resume=file).given
        assert again == whole[len(whole) - len(again) :]
        assert 0 < len(again) < len(whole)


def test_the_loader_is_given_back_as_it_was(tmp_path: Path) -> None:
    loader = LOADERS["shuffled"]()
    before = (loader.batch_sampler, loader.generator, loader.sampler.generator)
    fit(Style(Plain, lambda: (loader, None)), tmp_path, [ExactResume()], max_epochs=1)
    assert (loader.batch_sampler, loader.generator, loader.sampler.generator) == before


def test_a_batch_that_is_sent_to_a_worker_does_not_seed_the_process_that_sends_it() -> None:
    before = random_state()["torch"]
    sent = pickle.loads(pickle.dumps(SeededBatch([3, 1, 2], seed=5)))
    assert torch.equal(before, random_state()["torch"])
    assert list.__getitem__(sent, slice(None)) == [3, 1, 2]
    drawn = [(list(sent), torch.rand(1).item())[1] for _ in range(2)]
    assert drawn[0] == drawn[1]
