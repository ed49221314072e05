"""Which images a run has, kept in its checkpoints, and how today's differ from them."""

from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only, rank_zero_warn
from torch import Tensor

from datamodules.folder.contents.copies import Part, find_copies, list_copies

Record = dict[str, Tensor]
"""Hashes of content and name ``(N, 2)`` of the images of each part that the run has opened."""


class Difference(NamedTuple):
    """How the images of a part differ from those of before.

    Args:
        added: Images that were not there.
        removed: Images that are no longer there.
        changed: Images of the same name with another content.
    """

    added: int
    removed: int
    changed: int

    def __str__(self) -> str:
        return f"{self.added:,} added, {self.removed:,} removed, {self.changed:,} changed"


def difference(before: Tensor, now: Tensor) -> Difference:
    """Compare two sets of images ``(N, 2)`` and ``(M, 2)``; a renamed image is no other image.

    Example:
        >>> difference(torch.tensor([[1, 1], [2, 2], [3, 3]]), torch.tensor([[1, 9], [8, 2], [7, 7], [6, 6]]))
        Difference(added=2, removed=1, changed=1)
    """
    new = now[~torch.isin(now[:, 0], before[:, 0])]
    gone = before[~torch.isin(before[:, 0], now[:, 0])]
    changed = int(torch.isin(new[:, 1], gone[:, 1]).sum())
    return Difference(len(new) - changed, len(gone) - changed, changed)


def seen_in(now: Tensor, before: Tensor, by_name: bool) -> int:
    """Count images ``(M, 2)``, without names ``(M, 1)``, that are among those of before ``(N, 2)``.

    Args:
        now: Today's images of a part.
        before: Images of a part of the run.
        by_name: Whether the same name means the same image, also with another content. Between train/a/1.png and
            test/a/1.png it does not.

    Example:
        >>> [seen_in(torch.tensor([[1, 1], [2, 9]]), torch.tensor([[2, 2], [3, 1]]), named) for named in (False, True)]
        [1, 2]
    """
    seen = torch.isin(now[:, 0], before[:, 0])
    return int((seen | torch.isin(now[:, 1], before[:, 1]) if by_name else seen).sum())


def remarks(before: Record, now: Record, resuming: bool, by_name: bool) -> list[str]:
    """Say how today's images differ from a checkpoint's, and which of them its run was trained on.

    Args:
        before: The parts that the checkpoint knows.
        now: The parts that are open.
        resuming: Whether a fit goes on.
        by_name: Whether the parts lie in one folder, so that a name is of one image.
    """
    said = []
    for part, name in (("train", "training"), ("val", "validation"), ("test", "test")):
        other = difference(before[part], now[part]) if part in before and part in now else Difference(0, 0, 0)
        if any(other):
            order = "; the images come in another order than in the uninterrupted run"
            end = order if part == "train" and resuming else ""
            said.append(f"The {name} images are not those of the checkpoint's run: {other}{end}.")
        uses = {"train": "trained on", "val": "validated on"} if part == "test" else {"train": "trained on"}
        if part != "train" and part in now:
            seen = {use: seen_in(now[part], before[key], by_name) for key, use in uses.items() if key in before}
            found = " and ".join(f"{use} {count:,}" for use, count in seen.items() if count)
            if found:
                said.append(
                    f"The checkpoint's run {found} of today's {len(now[part]):,} {name} images: "
                    "results on them are too high."
                )
    return said


class RunImages:
    """The images that are open, those of a checkpoint, and the rule by which they were split.

    Args:
        by_place: Whether images are split by their places in the sorted folder, as earlier versions did: deleting one
            of them moves others.
    """

    def __init__(self, by_place: bool = False) -> None:
        self.by_place = by_place
        self.before: Record = {}
        self.parts: dict[str, Part] = {}
        self._said: set[str] = set()

    def __copy__(self) -> Self:
        copied = type(self)(self.by_place)
        copied.parts, copied.before, copied._said = dict(self.parts), self.before, self._said
        return copied

    @property
    def now(self) -> Record:
        """Hashes of the images of each part that is known."""
        return {name: part.index.keys[part.rows] for name, part in self.parts.items()}

    def forget(self) -> None:
        """Begin a new run."""
        self.by_place, self.parts, self.before = False, {}, {}

    def note(self, name: str, part: Part) -> None:
        """Remember the images of a part."""
        self.parts[name] = part

    def load(self, state: dict[str, Any]) -> None:
        """Load a checkpoint's state; one of an earlier version has no images."""
        self.by_place, self.before = "images" not in state, state.get("images", {})

    def compare(self, resuming: bool, by_name: bool) -> None:
        """Warn once of everything in which today's images differ from the checkpoint's."""
        for text in remarks(self.before, self.now, resuming, by_name) if self.before else ():
            if text not in self._said:
                self._said.add(text)
                rank_zero_warn(text)

    def warn_of_copies(self, file: Path, removed: bool) -> None:
        """Warn once of images that are in two parts, and list them.

        Args:
            file: The list.
            removed: Whether copies are left out of training.
        """
        found = [copies for copies in find_copies(self.parts) if not (removed and copies.other == "train")]
        if not found or rank_zero_only.rank != 0:  # type: ignore[attr-defined]
            return
        way = "" if removed else " data.on_duplicate=remove leaves such images out of training."
        text = f"{'; '.join(map(str, found))}: results on them are too high.{list_copies(file, found)}{way}"
        if text not in self._said:
            self._said.add(text)
            rank_zero_warn(text)

    def say(self, text: str | None) -> None:
        """Print a sentence once."""
        if text and text not in self._said:
            self._said.add(text)
            rank_zero_info(text)
