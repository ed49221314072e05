"""A trained network as a file of torch.export, compared with its checkpoint before it is kept."""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from descent.inference.answers import answering
from descent.inference.export.exported_classifier import described, example, exported_classifier, traced
from descent.inference.export.parity import Parity, Runner, compare
from descent.inference.loading import Trained
from descent.inference.scoring import Scorer
from foundation.files import replacing

METADATA = "descent.json"


def write_torch(trained: Trained, file: Path, batches: Iterable[Tensor]) -> Parity:
    """Write the file if it answers as the checkpoint does; see `write_onnx`.

    `torch.export.load(file, extra_files=found)` with `found = {"descent.json": ""}` gives back the metadata too.
    """
    program = traced(exported_classifier(trained), example(trained))
    with replacing(file) as part:
        with part.open("wb") as target, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No complete tensor found")  # all of them are on the CPU
            torch.export.save(program, target, extra_files={METADATA: json.dumps(described(trained))})
        return compare(runner(part), Scorer(trained), answering(trained), batches)


def runner(file: Path) -> Runner:
    """What asks the file."""
    with file.open("rb") as source:
        model = torch.export.load(source).module()

    @torch.inference_mode()
    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = model(torch.from_numpy(pixels)).numpy()
        return answer

    return run
