"""Turn a float32 ONNX file into an int8 one with onnxruntime's static quantization."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from descent.inference.export.exported_classifier import INPUT, ExportForm

BATCH_SIZE = 16
QUANTIZED = [
    "Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Flatten",
]  # fmt: skip
"""Operators in int8. Normalisations, softmax, sigmoid and GELU stay in float32: they are a small part of the time."""
LAYERS = ["Conv", "Gemm", "MatMul"]
"""Operators in int8 of a transformer, where more of them would cost conversions between the layers in float32."""


def quantize(source: Path, target: Path, form: ExportForm, pixels: Tensor, metadata: dict[str, str]) -> None:
    """Quantize an ONNX file: weights per channel and activations to 8 bits, ranges from images.

    Weights use 7 of the 8 bits, so that the sums of products cannot saturate on CPUs without VNNI, and the file gives
    the same answers there. The last layer stays in float32: it is small, and its outputs decide.

    Args:
        source: The float32 file.
        target: The file to write.
        form: What the source takes.
        pixels: Images uint8 `(N, H, W, C)`, N ≥ 1, from which the ranges of the activations are found.
        metadata: Model properties of the file.

    Reference:
        B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
        2018; onnxruntime's documentation of `quantize_static`.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder, _silently():
        prepared = Path(folder, "prepared.onnx")  # batch norm inside the convolutions, and every shape
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(prepared)
        written = Path(folder, "int8.onnx")
        quantization.quantize_static(
            model,
            str(written),
            _reader(form, pixels),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_operators(model),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=_last_layer(model),
            extra_options={"CalibMaxIntermediateOutputs": 4},
        )
        made = onnx.load(written)
    del made.metadata_props[:]  # those of the preparation
    onnx.helper.set_model_props(made, metadata)
    onnx.checker.check_model(made)
    target.write_bytes(made.SerializeToString())


def _operators(model: Any) -> list[str]:
    is_transformer = any(node.op_type == "LayerNormalization" for node in model.graph.node)
    return LAYERS if is_transformer else QUANTIZED


def _last_layer(model: Any) -> list[str]:
    """Return the name of the last node that holds a layer, and of the addition of its bias, which follows it."""
    nodes = list(model.graph.node)
    place = max((number for number, node in enumerate(nodes) if node.op_type in LAYERS), default=len(nodes))
    return [node.name for node in nodes[place:]]


def _reader(form: ExportForm, pixels: Tensor) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Yields the images in batches."""

        def __init__(self) -> None:
            self.batches: Iterator[Tensor] = iter(pixels.split(BATCH_SIZE))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: form.convert(batch).numpy()}

    return Reader()


@contextmanager
def _silently() -> Iterator[None]:
    """Keep onnxruntime's remarks on how one could quantize from the screen."""
    level = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
