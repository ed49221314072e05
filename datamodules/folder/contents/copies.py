"""Copies of an image in two parts of the data: in training and test they make results too high."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.folder.contents.image_index import ImageIndex
from foundation.files import replacing

WORDS = {"train": "training", "val": "validation", "test": "test"}
PAIRS = (("test", "train"), ("val", "train"), ("test", "val"))


@dataclass(frozen=True)
class Part:
    """The images of a part.

    Args:
        folder: Of its images.
        index: Of all images in the folder.
        rows: Those of the part.
    """

    folder: Path
    index: ImageIndex
    rows: Tensor

    @property
    def contents(self) -> Tensor:
        """Hash of the content of each image."""
        return self.index.keys[self.rows, 0]

    def path(self, place: int) -> Path:
        """Return the file of an image."""
        return self.folder / self.index.names[int(self.rows[place])]


class Copies(NamedTuple):
    """Images of one part that are in another one too.

    Args:
        part: ``val`` or ``test``.
        other: ``train`` or ``val``.
        total: Images of the part.
        pairs: File in the part and the same content in the other one.
    """

    part: str
    other: str
    total: int
    pairs: list[tuple[Path, Path]]

    def __str__(self) -> str:
        first, second = self.pairs[0]
        return (
            f"{len(self.pairs):,} of {self.total:,} {WORDS[self.part]} images are also among the {WORDS[self.other]} "
            f"images, e.g. {first} and {second}"
        )


def find_copies(parts: dict[str, Part]) -> list[Copies]:
    """Return the files with the same content in two parts."""
    found = []
    for part, other in PAIRS:
        if part not in parts or other not in parts:
            continue
        contents, others = parts[part].contents, parts[other].contents
        there = torch.isin(contents, others).nonzero().flatten().tolist()
        if there:
            known = {content: place for place, content in enumerate(others.tolist())}
            pairs = [(parts[part].path(place), parts[other].path(known[int(contents[place])])) for place in there]
            found.append(Copies(part, other, len(contents), pairs))
    return found


def list_copies(file: Path, found: list[Copies]) -> str:
    """Write the pairs to a CSV file; return a sentence that names it, or nothing if it cannot be written."""
    try:
        with replacing(file) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(("part", "path", "copy_in", "copy"))
            for copies in found:
                writer.writerows((copies.part, path, copies.other, copy) for path, copy in copies.pairs)
    except OSError:
        return ""
    return f" Listed in {file}."
