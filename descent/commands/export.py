"""`descent export`: a trained network as one file for other programs."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError

USAGE = """\
usage: descent export --ckpt_path PATH --to onnx|torch [options]

Writes the network with normalisation, activation and class names inside: uint8 images (batch,
height, width, channels) in, probabilities (batch, classes) out, any batch size, float32. The file
is compared with the checkpoint first; if a probability differs by more than 0.0001, no file is
written.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --to onnx               model.onnx, opset 18, for onnxruntime and many others
                          (pip install onnx onnxruntime onnxscript)
  --to torch              model.pt2, for torch.export.load and AOTInductor
  --out FILE              where to write (default: in the run's folder)
  --input nhwc_uint8      uint8 (batch, height, width, channels), 0 to 255 (default)
  --input nchw_float      float32 (batch, channels, height, width), 0 to 1
  --dtype float16         the network computes in float16: half the size
  --dtype int8            ONNX only: onnxruntime's static quantization, a quarter of the size; the
                          ranges come from up to 256 validation images of the run, or of --images
  --max_drop NUMBER       float16 and int8: write no file if the accuracy falls by more, measured on
                          the run's test images or on those of --images (default 0.01)
  --temperature T         divide the logits by a number, or by the temperature that is fitted on
                          the run's validation data: fitted
  --images PATH...        compare on these images too, not only on synthetic ones; for float16 and
                          int8 FOLDER/<class>/… for the accuracy
  --KEY VALUE             a key of the run's config
"""
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
EXACT = ["--trainer.precision=32-true", "--trainer.accelerator=cpu"]


def main(args: list[str]) -> Any:
    """Export a checkpoint; `args` are the words after `descent export`."""
    parser = CommandParser("export", USAGE)
    parser.add_checkpoint()
    parser.add_argument("--to")
    parser.add_argument("--input", default="nhwc_uint8", choices=("nhwc_uint8", "nchw_float"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "int8"))
    parser.add_argument("--max_drop", type=float)
    parser.add_argument("--temperature")
    parser.add_argument("--images", nargs="+", action="extend", default=[])
    options, overrides = parser.parse_with_overrides(args)
    _check(parser, options)
    with mistakes_in_one_line("stopped."):
        return _export(options, overrides)


def _check(parser: CommandParser, options: argparse.Namespace) -> None:
    """Refuse options that do not fit together."""
    if options.to not in SUFFIXES:
        parser.error(f"--to must be {' or '.join(SUFFIXES)}, got {options.to or 'nothing'}")
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items()}
    named = kinds.get(options.out.suffix) if options.out is not None else None
    if named not in (None, options.to):
        parser.error(f"--out {options.out} is a name for --to {named}; --to {options.to} writes {SUFFIXES[options.to]}")
    if options.dtype == "int8" and options.to != "onnx":
        parser.error("--dtype int8 is for --to onnx; --to torch writes float32 and float16")
    if options.max_drop is not None and options.dtype == "float32":
        parser.error("--max_drop is for --dtype float16 and int8; a float32 file must match the checkpoint")
    if options.max_drop is not None and not 0 <= options.max_drop <= 1:
        parser.error(f"--max_drop must be in [0, 1], got {options.max_drop:g}")


def _export(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.export.exported_classifier import INPUT, OUTPUT, ExportForm
    from descent.inference.export.formats import OPSET, check_onnx_packages
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.prediction import image_format
    from foundation.files import shown
    from foundation.terminal.folding import fitted

    if options.to == "onnx":
        check_onnx_packages()
    trained = load_trained_network(options.ckpt_path, [*overrides, *EXACT])
    form = ExportForm(options.to, options.input, options.dtype, _temperature(options, trained))
    dtype = "" if form.dtype == "float32" else f".{form.dtype}"
    file = options.out or trained.folder("").joinpath(f"model{dtype}{SUFFIXES[options.to]}")
    if file.is_dir():
        raise UserError(f"--out {file} is a folder; give a file, e.g. {file}/model{SUFFIXES[options.to]}.")
    file.parent.mkdir(parents=True, exist_ok=True)
    images = image_format(trained)
    found, compared = _write(trained, file, form, options)
    kind = f"opset {OPSET}" if options.to == "onnx" else "torch.export"
    print(f"written     {shown(file)} ({kind}, {file.stat().st_size:,} bytes)")
    print(f"takes       {INPUT}: {form.layout(*images.shape)}, {images.mode}, 0 to {form.white}")
    print(f"gives       {OUTPUT}: float32 (batch, {len(trained.class_names)}) of {', '.join(trained.class_names[:12])}")
    print(fitted("\n".join(compared)))
    return found


def _temperature(options: argparse.Namespace, trained: Any) -> float:
    from descent.inference.classifiers import require_classifier
    from descent.inference.evaluation.usable_temperature import usable_temperature
    from descent.inference.prediction.options import checked_temperature
    from foundation.processes import say

    if options.temperature is None:
        return 1.0
    given = checked_temperature(options.temperature)
    value, sentence = usable_temperature(trained, require_classifier(trained), given)
    say(sentence)
    return value


def _write(trained: Any, file: Path, form: Any, options: argparse.Namespace) -> tuple[Any, list[str]]:
    """Write the file; return what was measured, and lines that say it."""
    from descent.inference.export.formats import write_exported
    from descent.inference.prediction.prediction import image_format

    if form.dtype != "float32":
        return _write_reduced(trained, file, form, options)
    parity = write_exported(trained, file, form, _batches(image_format(trained), options.images))
    return parity, [
        f"compared    with the checkpoint on {parity.images:,} images: largest difference of a probability "
        f"{parity.max_difference:.2g}, another class for {parity.changed} images"
    ]


def _write_reduced(trained: Any, file: Path, form: Any, options: argparse.Namespace) -> tuple[Any, list[str]]:
    from descent.inference.export.image_sets import image_sets
    from descent.inference.export.reduced import MAX_DROP, write_reduced
    from foundation.files import replace_text, shown, strict_json

    max_drop = MAX_DROP if options.max_drop is None else options.max_drop
    found = write_reduced(trained, file, form, image_sets(trained, options.images), max_drop)
    report = file.with_name(f"{file.name}.json")
    replace_text(report, strict_json(found.summary()) + "\n")
    calibrated = f", calibrated on {found.calibrated_on:,} other images" if found.calibrated_on else ""
    faster = "faster" if found.time_ratio < 1 else "slower"
    return found, [
        f"compared    with the float32 file: {found.accuracy_sentence()}{calibrated}",
        f"difference  of a probability at most {found.max_difference:.2g}",
        f"size        {found.bytes / found.bytes_float32:.2f} of the float32 file's",
        f"time        {found.time_ratio:.2f} of the float32 file's, so {faster}: batches of {found.batch_size} on this "
        f"CPU, threads: {found.threads}",
        f"report      {shown(report)}",
    ]


def _batches(form: Any, images: list[str]) -> Iterator[Any]:
    """Synthetic images, then those of the user, as the exported file takes them."""
    from descent.inference.export.parity import synthetic_images
    from descent.inference.prediction.decoding_stream import decoded_batches
    from descent.inference.prediction.image_files import find_images

    yield from synthetic_images(form)
    if images:
        paths = find_images(images).paths
        yield from (batch.pixels for batch in decoded_batches(paths, form, 250) if batch.rows)
