"""`descent export`: a trained network as one file for other programs."""

import argparse
from collections.abc import Iterator
from typing import Any

from descent.commands.parser import carry_out, parse, parser, refuse
from foundation.errors import UserError

USAGE = """\
usage: descent export --ckpt_path PATH --to onnx|torch [options]

Writes the network with normalisation, activation and class names inside: uint8 images (batch,
height, width, channels) in, probabilities (batch, classes) out, any number of images at a time,
float32. The file is compared with the checkpoint before it is kept; one that differs by more than
0.0001 in a probability is not written.

  --ckpt_path PATH        a checkpoint, a run's folder (its best), or an experiment's folder (its
                          newest run)
  --to onnx               model.onnx, opset 18, for onnxruntime and many others
                          (pip install 'descent[export]')
  --to torch              model.pt2, for torch.export.load and AOTInductor
  --out FILE              where to write (default: in the run's folder)
  --images PATH...        compare on these images too, not only on synthetic ones
  --KEY VALUE             a key of the run's config
"""
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
EXACT = ["--trainer.precision=32-true", "--trainer.accelerator=cpu"]


def main(args: list[str]) -> Any:
    """Run the command.

    Args:
        args: What stands on the command line after `descent export`.

    Raises:
        SystemExit: With 2 after a mistake, said in one line; with 130 after Ctrl+C.
    """
    if not args or "-h" in args or "--help" in args:
        print(USAGE, end="")
        return None
    made = parser("export")
    made.add_argument("--to")
    made.add_argument("--images", nargs="+", action="extend", default=[])
    known, rest = parse(made, args)
    if known.to not in SUFFIXES:
        refuse(f"--to must be {' or '.join(SUFFIXES)}, got {known.to or 'nothing'}.")
    return carry_out(lambda: _export(known, rest))


def _export(known: argparse.Namespace, rest: list[str]) -> Any:
    from descent.inference.export.exported_classifier import INPUT, OUTPUT
    from descent.inference.export.formats import OPSET, check_onnx_packages, write_exported
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.prediction import image_format
    from descent.runs.summary import shown

    if known.to == "onnx":
        check_onnx_packages()
    trained = load_trained_network(known.ckpt_path, [*rest, *EXACT])
    file = known.out or trained.folder("").joinpath(f"model{SUFFIXES[known.to]}")
    if file.is_dir():
        raise UserError(f"--out {file} is a folder; give a file, e.g. {file}/model{SUFFIXES[known.to]}.")
    file.parent.mkdir(parents=True, exist_ok=True)
    form = image_format(trained)
    parity = write_exported(trained, file, known.to, _batches(form, known.images))
    height, width, channels = form.shape
    kind = f"opset {OPSET}" if known.to == "onnx" else "torch.export"
    print(f"written     {shown(file)} ({kind}, {file.stat().st_size:,} bytes)")
    print(f"takes       {INPUT}: uint8 (batch, {height}, {width}, {channels}), {form.mode}, 0 to 255")
    print(f"gives       {OUTPUT}: float32 (batch, {len(trained.class_names)}) of {', '.join(trained.class_names[:12])}")
    print(
        f"compared    with the checkpoint on {parity.images:,} images: largest difference of a probability "
        f"{parity.max_difference:.2g}, another class for {parity.changed} images"
    )
    return parity


def _batches(form: Any, images: list[str]) -> Iterator[Any]:
    from descent.inference.export.parity import synthetic_images
    from descent.inference.prediction.decoding_stream import decoded_batches
    from descent.inference.prediction.image_files import find_images

    yield from synthetic_images(form)
    if images:
        paths = find_images(images).paths
        yield from (batch.pixels for batch in decoded_batches(paths, form, 250) if batch.rows)
