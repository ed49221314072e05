"""Count images that the run was trained or validated on: results on them are too good."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from datamodules.folder.contents.image_index import content_key
from datamodules.folder.contents.image_record import Record, seen_in
from descent.inference.loading import TrainedNetwork


def seen_files(trained: TrainedNetwork, paths: Sequence[str]) -> list[str]:
    """Say how many image files the run has seen, by their content; nothing if it has seen none, or does not know."""
    known = _known_images(trained)
    if not known:
        return []
    keys = torch.tensor([[content_key(Path(path).read_bytes())] for path in paths])
    return _sentences(known, keys)


def seen_test_images(trained: TrainedNetwork) -> list[str]:
    """Say how many of the open test images the run has seen, by their content; nothing if it has seen none."""
    known, in_use = _known_images(trained), getattr(trained.data, "images_in_use", None)
    now = {} if in_use is None else in_use()
    return _sentences(known, now["test"]) if known and "test" in now else []


def _known_images(trained: TrainedNetwork) -> Record:
    """Return the record of the run's images, as far as its checkpoint has one."""
    record: Record = (trained.state or {}).get("images") or {}
    return record


def _sentences(known: Record, keys: Tensor) -> list[str]:
    said = []
    for part, verb, why in (
        ("train", "trained", "results on them are too good"),
        ("val", "validated", "its best checkpoint was chosen with them"),
    ):
        count = seen_in(keys, known[part], by_name=False) if part in known else 0
        if count:
            said.append(f"The run was {verb} on {count:,} of these {len(keys):,} images (by their content): {why}.")
    return said
