"""Throughput of `descent predict --images` as a share of the network's own, and the cost of decoding.

    python -m benchmarks.predict CHECKPOINT IMAGES [--count 2000] [--rounds 7]

In each round, in turns, with the same images, batch size, device and precision:

    network   the network alone, on normalised batches
    decoded   normalisation, network and answers, on decoded images
    files     all that the command does: files are decoded while the network computes
    decoding  decoding alone

Printed are images per second (medians), and the medians of the ratios to `network` in the same round with their range.
On a single core decoding cannot overlap with the network, so `files` takes as long as both together.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.command_line import machine_line, parser
from benchmarks.common.paired import in_turns
from descent.inference.classifiers import concatenate, predictions_from_output, require_classifier
from descent.inference.loading import load_trained_network
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.prediction.image_files import find_images
from descent.inference.prediction.prediction import image_format, predict_files
from descent.inference.predictor import Predictor


def contestants(checkpoint: str, images: str, count: int) -> dict[str, Callable[[], Any]]:
    """Make the functions that are timed; each processes the same images once."""
    trained = load_trained_network(checkpoint, [])
    module, predictor, form = require_classifier(trained), Predictor(trained), image_format(trained)
    paths = find_images([images]).paths[:count]
    size: int = trained.data.eval_batch_size  # type: ignore[attr-defined]
    decoded = [batch.pixels for batch in decoded_batches(paths, form, size)]
    normal = [_normalised(predictor, pixels) for pixels in decoded]

    @torch.inference_mode()
    def network() -> None:
        for images in normal:
            with predictor.precision.forward_context():
                module.network(images)

    return {
        "network": network,
        "decoded": lambda: concatenate([predictions_from_output(module, predictor.forward_pixels(p)) for p in decoded]),
        "files": lambda: predict_files(trained, module, paths),
        "decoding": lambda: list(decoded_batches(paths, form, size)),
    }


def _normalised(predictor: Predictor, pixels: Tensor) -> Tensor:
    nothing = torch.zeros(len(pixels), dtype=torch.int64)
    images: Tensor = predictor.data.on_after_batch_transfer((pixels.permute(0, 3, 1, 2), nothing, nothing), 0)[0]
    return images


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the wall time of a function."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns and print."""
    command = parser(__doc__, rounds=7)
    command.add_argument("checkpoint")
    command.add_argument("images", type=Path)
    command.add_argument("--count", type=int, default=2000, help="number of images")
    options = command.parse_args()
    work = contestants(options.checkpoint, str(options.images), options.count)
    seconds = in_turns({name: partial(seconds_of, job) for name, job in work.items()}, options.rounds, warm_up=1)
    threads = f"{torch.get_num_threads()} threads, {options.count} images, {options.rounds} rounds"
    print(f"{machine_line()}, {threads}")
    for name, values in seconds.items():
        ratios = sorted(alone / mine for alone, mine in zip(seconds["network"], values, strict=True))
        print(
            f"{name:<10}{options.count / statistics.median(values):>9.0f} images/s   of the network's: "
            f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


if __name__ == "__main__":
    main()
