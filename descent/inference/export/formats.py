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
    ExportForm,
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


def write_exported(trained: TrainedNetwork, file: Path, form: ExportForm, batches: Iterable[Tensor]) -> Parity:
    """Export a network in float32; the file is written atomically, and only if it matches the checkpoint.

    Args:
        trained: The network, its trainer in float32 on the CPU.
        file: The file to write.
        form: Of the file. `torch`: `torch.export.load(file, extra_files=found)` with `found = {"descent.json": ""}`
            returns the model and fills in the metadata.
        batches: Pixels to compare on, uint8 `(B, H, W, C)`.

    Raises:
        UserError: A package is missing, the network cannot be traced, or the file does not match.
        OSError: The file cannot be written.
    """
    with replacing(file) as part:
        exported = write_form(trained, part, form)
        module = require_classifier(trained)
        return compare_with_checkpoint(exported, Predictor(trained), module, batches, form.temperature)


def write_form(trained: TrainedNetwork, file: Path, form: ExportForm) -> ExportedModel:
    """Write a network in float32 or float16, without a comparison; return the file's model.

    Raises:
        UserError: A package is missing, or the network cannot be traced.
        OSError: The file cannot be written.
    """
    if form.to == "onnx":
        check_onnx_packages()
    example = form.convert(torch.zeros(2, *image_format(trained).shape, dtype=torch.uint8))
    program, metadata = trace(build_exported_classifier(trained, form), example), export_metadata(trained, form)
    if form.to == "onnx":
        file.write_bytes(onnx_bytes(program, metadata))
    else:
        save_torch(program, metadata, file)
    return load_exported(file, form)


def load_exported(file: Path, form: ExportForm) -> ExportedModel:
    """Load an exported file, as a function of uint8 pixels `(B, H, W, C)`, whatever the file takes."""
    run = load_onnx(file) if form.to == "onnx" else load_torch(file)

    def from_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return run(form.convert(torch.from_numpy(pixels)).numpy())

    return from_pixels


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
    """Convert to an ONNX model with a free batch size, named `batch`, and the metadata in its model properties."""
    import onnx

    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        made: Any = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, verbose=False
        )
    proto = made.model_proto
    _name_batch_axis(proto.graph)
    for node in proto.graph.node:  # stack traces with this machine's paths, larger than a small network
        del node.metadata_props[:]
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


def _name_batch_axis(graph: Any) -> None:
    """Rename the symbol that torch has given to the batch size, such as s77, to batch, wherever it stands."""
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if symbol and dimension.dim_param == symbol:
                dimension.dim_param = "batch"


def load_onnx(file: Path) -> ExportedModel:
    """Load an ONNX file into onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(inputs: NDArray[Any]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = session.run([OUTPUT], {INPUT: inputs})[0]
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
    def run(inputs: NDArray[Any]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = model(torch.from_numpy(inputs)).numpy()
        return probabilities

    return run
