"""`descent export`: a trained network as one file for other programs."""

import argparse
from collections.abc import Iterator
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
  --images PATH...        compare on these images too, not only on synthetic ones
  --KEY VALUE             a key of the run's config
"""
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
EXACT = ["--trainer.precision=32-true", "--trainer.accelerator=cpu"]


def main(args: list[str]) -> Any:
    """Export a checkpoint; `args` are the words after `descent export`."""
    parser = CommandParser("export", USAGE)
    parser.add_checkpoint()
    parser.add_argument("--to")
    parser.add_argument("--images", nargs="+", action="extend", default=[])
    options, overrides = parser.parse_with_overrides(args)
    if options.to not in SUFFIXES:
        parser.error(f"--to must be {' or '.join(SUFFIXES)}, got {options.to or 'nothing'}")
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items()}
    named = kinds.get(options.out.suffix) if options.out is not None else None
    if named not in (None, options.to):
        parser.error(f"--out {options.out} is a name for --to {named}; --to {options.to} writes {SUFFIXES[options.to]}")
    with mistakes_in_one_line("stopped."):
        return _export(options, overrides)


def _export(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.export.exported_classifier import INPUT, OUTPUT
    from descent.inference.export.formats import OPSET, check_onnx_packages, write_exported
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.prediction import image_format
    from descent.runs.summary import shown

    if options.to == "onnx":
        check_onnx_packages()
    trained = load_trained_network(options.ckpt_path, [*overrides, *EXACT])
    file = options.out or trained.folder("").joinpath(f"model{SUFFIXES[options.to]}")
    if file.is_dir():
        raise UserError(f"--out {file} is a folder; give a file, e.g. {file}/model{SUFFIXES[options.to]}.")
    file.parent.mkdir(parents=True, exist_ok=True)
    form = image_format(trained)
    parity = write_exported(trained, file, options.to, _batches(form, options.images))
    height, width, channels = form.shape
    kind = f"opset {OPSET}" if options.to == "onnx" else "torch.export"
    print(f"written     {shown(file)} ({kind}, {file.stat().st_size:,} bytes)")
    print(f"takes       {INPUT}: uint8 (batch, {height}, {width}, {channels}), {form.mode}, 0 to 255")
    print(f"gives       {OUTPUT}: float32 (batch, {len(trained.class_names)}) of {', '.join(trained.class_names[:12])}")
    print(
        f"compared    with the checkpoint on {parity.images:,} images: largest difference of a probability "
        f"{parity.max_difference:.2g}, another class for {parity.changed} images"
    )
    return parity


def _batches(form: Any, images: list[str]) -> Iterator[Any]:
    """Synthetic images, then those of the user, as the exported file takes them."""
    from descent.inference.export.parity import synthetic_images
    from descent.inference.prediction.decoding_stream import decoded_batches
    from descent.inference.prediction.image_files import find_images

    yield from synthetic_images(form)
    if images:
        paths = find_images(images).paths
        yield from (batch.pixels for batch in decoded_batches(paths, form, 250) if batch.rows)
