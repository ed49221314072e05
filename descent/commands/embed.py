"""`descent embed`: features of images, for searches, clusters and classifiers of one's own."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser
from descent.training.mistakes import mistakes_in_one_line

USAGE = """\
usage: descent embed --ckpt_path PATH --images FOLDER_OR_FILES... --to FILE [options]

Writes the features of each image: the numbers that go into the network's last linear or
convolutional layer, a mean over positions where it gets several. For any LightningModule whose
network takes images.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --images PATH...        files, and folders with all their subfolders
  --to FILE.npz           numpy arrays features (N, D) float32, paths (N,) and, of a classifier,
                          classes and probabilities (N,): the predicted class of each image
  --to FILE.parquet       a table with the columns path, class, probability, features
                          (pip install pyarrow)
  --KEY VALUE             a key of the run's config: --data.eval_batch_size 64,
                          --trainer.accelerator gpu, …
"""


def main(args: list[str]) -> Any:
    """Embed image files; `args` are the words after `descent embed`."""
    parser = CommandParser("embed", USAGE)
    parser.add_argument("--ckpt_path")
    parser.add_argument("--images", nargs="+", action="extend")
    parser.add_argument("--to", type=Path)
    options, overrides = parser.parse_with_overrides(args)
    if options.images is None:
        parser.error("descent embed needs --images: a folder, or image files")
    if options.to is None:
        parser.error("descent embed needs --to: the file to write, e.g. features.npz")
    with mistakes_in_one_line("stopped."):
        return _embed(options, overrides)


def _embed(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.embedding.embeddings import check_target, embed_files, write_embeddings
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.image_files import find_images, say_left_out
    from foundation.files import shown
    from foundation.terminal.folding import fitted

    check_target(options.to)
    found = find_images(options.images)
    trained = load_trained_network(options.ckpt_path, overrides, any_module=True)
    embeddings = embed_files(trained, found.paths)
    write_embeddings(embeddings, options.to)
    say_left_out(found.other_files, embeddings.failures)
    count, width = embeddings.features.shape
    print(fitted(f"features    {width:,} numbers for each of {count:,} images, the input of {embeddings.layer}"))
    print(f"written     {shown(options.to)}")
    return embeddings
