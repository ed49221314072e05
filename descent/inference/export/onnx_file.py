"""A trained network as an ONNX file, compared with its checkpoint before it is kept."""

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

from descent.inference.answers import answering
from descent.inference.export.exported_classifier import (
    INPUT,
    OUTPUT,
    described,
    example,
    exported_classifier,
    traced,
)
from descent.inference.export.parity import Parity, Runner, compare
from descent.inference.loading import Trained
from descent.inference.scoring import Scorer
from foundation.errors import UserError
from foundation.files import replacing

OPSET = 18
NEEDED = ("onnx", "onnxruntime", "onnxscript")


def write_onnx(trained: Trained, file: Path, batches: Iterable[Tensor]) -> Parity:
    """Write the file if it answers as the checkpoint does.

    Args:
        trained: The network, its trainer in float32.
        file: Replaced as a whole.
        batches: Pixels to compare with.

    Raises:
        UserError: A package is missing, the network cannot be traced, or the file answers otherwise.
        OSError: The file cannot be written.
    """
    check_packages()
    model = exported_classifier(trained)
    program = traced(model, example(trained))
    content = onnx_bytes(program, described(trained))
    with replacing(file) as part:
        part.write_bytes(content)
        return compare(runner(part), Scorer(trained), answering(trained), batches)


def check_packages() -> None:
    """See that what ONNX needs is installed.

    Raises:
        UserError: It is not.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"--to onnx needs {', '.join(missing)}, not installed here: pip install 'descent[export]' "
            f"(or pip install {' '.join(missing)}). --to torch needs nothing more."
        )


def onnx_bytes(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    """A model of opset 18 with one input and one output, the batch's size free; metadata inside."""
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


def runner(file: Path) -> Runner:
    """What asks the file, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run([OUTPUT], {INPUT: pixels})[0]
        return answer

    return run
