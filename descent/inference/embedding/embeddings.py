"""Compute the features of image files, and write them as npz or parquet."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from descent.inference.classifiers import Classifier, Predictions, concatenate, predictions_from_output
from descent.inference.embedding.last_layer import recorded
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.prediction import map_files
from foundation.errors import UserError
from foundation.files import replacing, require_writable

SUFFIXES = (".npz", ".parquet")


@dataclass
class Embeddings:
    """Features of N images.

    Args:
        paths: The files that could be decoded.
        features: float32 `(N, D)`.
        layer: Name of the layer whose input the features are.
        classes: The predicted class of each image, of a multi-label network its labels joined by `; `; `None` if the
            module is no classifier.
        probabilities: Probability of the predicted class, of a multi-label network of the most probable label, float32
            `(N,)`; `None` likewise.
        failures: Why the other files could not be decoded, by path.
    """

    paths: list[str]
    features: NDArray[np.float32]
    layer: str
    classes: list[str] | None
    probabilities: NDArray[np.float32] | None
    failures: dict[str, str]


def embed_files(trained: TrainedNetwork, paths: list[str]) -> Embeddings:
    """Compute the features of image files: the input of the network's last layer, a mean over positions if it has any.

    Raises:
        UserError: The network takes no images, has no such layer, or no file could be decoded.
    """
    module: Any = trained.module
    with recorded(module) as last:

        def from_output(output: Any) -> tuple[Tensor, Predictions | None]:
            answer = predictions_from_output(module, output) if isinstance(module, Classifier) else None
            return last.features().cpu(), answer

        decoded, batches, failures = map_files(trained, paths, from_output, "Embedding")
    features = torch.cat([batch[0] for batch in batches]).numpy()
    answers = [batch[1] for batch in batches if batch[1] is not None]
    classes, probabilities = _answers(concatenate(answers), trained.class_names) if answers else (None, None)
    return Embeddings(decoded, features, last.name, classes, probabilities, failures)


def _answers(predictions: Predictions, names: list[str]) -> tuple[list[str], NDArray[np.float32]]:
    if predictions.labels is None:
        classes = [names[number] for number in predictions.classes[:, 0].tolist()]
    else:
        rows = predictions.labels.tolist()
        classes = ["; ".join(name for name, holds in zip(names, row, strict=True) if holds) for row in rows]
    return classes, predictions.probabilities[:, 0].float().numpy()


def check_target(file: Path) -> None:
    """Check that features can be written to a file of this name.

    Raises:
        UserError: The suffix is unknown, the file is a folder, parquet's package is missing, or the file's
            folder cannot be written to.
    """
    if file.suffix not in SUFFIXES:
        raise UserError(f"--to must be a file that ends in {' or '.join(SUFFIXES)}, got {file}.")
    if file.is_dir():
        raise UserError(f"--to {file} is a folder; give a file, e.g. {file / 'features.npz'}.")
    if file.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise UserError(
            f"--to {file} needs pyarrow, not installed here: pip install pyarrow. --to {file.with_suffix('.npz')} "
            "needs no further package."
        )
    require_writable(file.parent, "--to")


def write_embeddings(found: Embeddings, file: Path) -> None:
    """Write features, atomically.

    npz: `features` float32 `(N, D)`, `paths`, `classes`, `probabilities` `(N,)`; parquet: a row for each image with the
    columns `path`, `class`, `probability`, `features`. What is `None` is left out.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part:
        if file.suffix == ".parquet":
            _write_parquet(found, part)
            return
        columns: dict[str, Any] = {"features": found.features, "paths": np.array(found.paths)}
        if found.classes is not None:
            columns |= {"classes": np.array(found.classes), "probabilities": found.probabilities}
        with part.open("wb") as target:
            np.savez(target, **columns)


def _write_parquet(found: Embeddings, file: Path) -> None:
    import pyarrow  # type: ignore[import-not-found]
    import pyarrow.parquet  # type: ignore[import-not-found]

    paths = [path.encode("utf-8", "backslashreplace").decode() for path in found.paths]
    columns: dict[str, Any] = {"path": paths}
    if found.classes is not None:
        columns |= {"class": found.classes, "probability": found.probabilities}
    width = found.features.shape[1]
    flat = pyarrow.array(found.features.reshape(-1), pyarrow.float32())
    columns["features"] = pyarrow.FixedSizeListArray.from_arrays(flat, width)
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
