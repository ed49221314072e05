"""How much of the bare network's throughput is left to `descent predict --images`, and what decoding costs.

Usage: python -m benchmarks.predict CHECKPOINT IMAGES [--count 2000] [--rounds 7]

In each round, in turn, over the same images, batch size, device and precision:

    network   the network alone, on batches that are normalised already
    decoded   normalisation, network and answers, on images that are decoded already
    files     all that the command does: files decoded while the network computes
    decoding  the files decoded, and nothing else

Printed are images a second (medians) and the medians of the ratios to `network` of the same round, with their range.
On a single core decoding cannot run beside the network: `files` then takes what both take together.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from descent.inference.classifiers import concatenate, predictions_from_output, require_classifier
from descent.inference.loading import load_trained_network
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.prediction.image_files import find_images
from descent.inference.prediction.prediction import image_format, predict_files
from descent.inference.predictor import Predictor
from foundation.hardware import usable_cores


def contestants(checkpoint: str, images: str, count: int) -> dict[str, Callable[[], Any]]:
    """What is timed, by name; each does the same images once."""
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


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    timed = contestants(options.checkpoint, str(options.images), options.count)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for round_number in range(options.rounds + 1):
        for name, work in timed.items():
            start = time.perf_counter()
            work()
            if round_number:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    print(
        f"{platform.platform()}, torch {torch.__version__}, {usable_cores()} cores, {torch.get_num_threads()} threads, "
        f"{options.count} images, {options.rounds} rounds"
    )
    for name, values in seconds.items():
        ratios = sorted(alone / mine for alone, mine in zip(seconds["network"], values, strict=True))
        print(
            f"{name:<10}{options.count / statistics.median(values):>9.0f} images/s   of the network's "
            f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


if __name__ == "__main__":
    main()
