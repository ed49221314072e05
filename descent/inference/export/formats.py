"""Write a trained network as an ONNX or torch.export file, and keep the file only if it matches the checkpoint."""

import json
import warnings
from collections.abc import Iterable
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from descent.inference.classifiers import require_classifier
from descent.inference.export.exported_classifier import (
    INPUT,
    OUTPUT,
    build_exported_classifier,
    export_metadata,
    trace,
)
from descent.inference.export.parity import ExportedModel, Parity, compare_with_checkpoint
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.prediction import image_format
from descent.inference.predictor import Predictor
from foundation.errors import UserError
from foundation.files import replacing

OPSET = 18
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
METADATA_FILE = "descent.json"


def write_exported(trained: TrainedNetwork, file: Path, to: str, batches: Iterable[Tensor]) -> Parity:
    """Export a network; the file is written atomically, and only if it matches the checkpoint.

    Args:
        trained: The network, its trainer in float32 on the CPU.
        file: The file to write.
        to: `onnx`, or `torch`: then `torch.export.load(file, extra_files=found)` with `found = {"descent.json": ""}`
            returns the model and fills in the metadata.
        batches: Pixels to compare on, uint8 `(B, H, W, C)`.

    Raises:
        UserError: A package is missing, the network cannot be traced, or the file does not match.
        OSError: The file cannot be written.
    """
    if to == "onnx":
        check_onnx_packages()
    example = torch.zeros(2, *image_format(trained).shape, dtype=torch.uint8)
    program, metadata = trace(build_exported_classifier(trained), example), export_metadata(trained)
    with replacing(file) as part:
        if to == "onnx":
            part.write_bytes(onnx_bytes(program, metadata))
            exported = load_onnx(part)
        else:
            save_torch(program, metadata, part)
            exported = load_torch(part)
        return compare_with_checkpoint(exported, Predictor(trained), require_classifier(trained), batches)


def check_onnx_packages() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        UserError: One is missing.
    """
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(
            f"--to onnx needs {', '.join(missing)}, not installed here: pip install {' '.join(missing)}. "
            "--to torch needs no further package."
        )


def onnx_bytes(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    """Convert to an ONNX model with a free batch size and the metadata in its model properties."""
    import onnx

    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        made: Any = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, verbose=False
        )
    proto = made.model_proto
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


def load_onnx(file: Path) -> ExportedModel:
    """Load an ONNX file into onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = session.run([OUTPUT], {INPUT: pixels})[0]
        return probabilities

    return run


def save_torch(program: torch.export.ExportedProgram, metadata: dict[str, str], file: Path) -> None:
    """Write a torch.export file that holds the metadata as `descent.json`."""
    with file.open("wb") as target, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No complete tensor found")  # all of them are on the CPU
        torch.export.save(program, target, extra_files={METADATA_FILE: json.dumps(metadata)})


def load_torch(file: Path) -> ExportedModel:
    """Load a torch.export file."""
    with file.open("rb") as source:
        model = torch.export.load(source).module()

    @torch.inference_mode()
    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = model(torch.from_numpy(pixels)).numpy()
        return probabilities

    return run
