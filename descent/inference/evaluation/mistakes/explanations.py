"""Grad-CAM of a classifier's most confident mistakes, drawn over the images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.memory.images import Batch, middle
from descent.inference.classifiers import SingleLabelClassifier
from descent.inference.evaluation.mistakes.grad_cam import evidence
from descent.inference.evaluation.strips import SIDE, beside
from descent.inference.loading import TrainedNetwork
from descent.inference.predictor import Predictor, out_of_white
from lightning_modules import BinaryClassifier

COLOUR_MAP = "cividis"  # the same for colour-blind readers: from blue, no evidence, to yellow


@dataclass(frozen=True)
class Explainer:
    """Explains a network's answers for samples of an evaluation.

    Args:
        trained: The network.
        module: Its module.
        load_batch: Returns a batch of samples, as a data loader does.
    """

    trained: TrainedNetwork
    module: SingleLabelClassifier
    load_batch: Callable[[list[int]], Batch]

    def strips(self, rows: list[int], classes: Sequence[Sequence[int]]) -> list[Image.Image]:
        """Return for each sample the image as the network gets it, and beside it the evidence for some classes.

        Args:
            rows: The samples, few enough for a batch.
            classes: For each of them the classes, equally many.

        Raises:
            NotExplainedError: Grad-CAM says nothing about this network.
        """
        batch, predictor = self.load_batch(rows), Predictor(self.trained)
        with torch.no_grad():
            inputs = predictor.inputs(batch).clone()
        maps = []
        for chosen in zip(*classes, strict=True):
            numbers = torch.tensor(chosen, device=inputs.device)
            with predictor.precision.forward_context():
                found = evidence(self.module, inputs, partial(self._scores, numbers))
            maps.append(found.cpu())
        pixels = _shown(batch[0], self.trained.data)
        return [_strip(pixels[place], [found[place] for found in maps]) for place in range(len(rows))]

    def _scores(self, classes: Tensor, output: Tensor) -> Tensor:
        """Return the logit of a class for each sample; of a binary classifier the log-odds, for or against."""
        if isinstance(self.module, BinaryClassifier):
            both = self.module.log_probabilities(output)
            return (both[:, 1] - both[:, 0]) * (2 * classes - 1)
        return output.float().gather(1, classes.unsqueeze(1)).squeeze(1)


def _shown(images: Tensor, data: Any) -> np.ndarray:
    """Return what the network gets of images `(B, C, H, W)` as RGB `(B, H, W, 3)`."""
    pixels = out_of_white(middle(images, data.image_size), data.white)
    return pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()


def _strip(pixels: np.ndarray, maps: list[Tensor]) -> Image.Image:
    """Return an image, and beside it each map over the grey image, scaled to its own maximum."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = SIDE / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    enlarged = image.resize((width, height), Image.Resampling.BILINEAR if scale < 2 else Image.Resampling.NEAREST)
    return beside([enlarged, *(_overlay(enlarged, found) for found in maps)])


def _overlay(image: Image.Image, found: Tensor) -> Image.Image:
    strength = (found / found.max().clamp_min(1e-12)).numpy()
    heat = Image.fromarray(strength).resize(image.size, Image.Resampling.BILINEAR)
    colors = mpl.colormaps[COLOUR_MAP](np.asarray(heat).clip(0, 1))[..., :3] * 255
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None]
    return Image.fromarray((0.45 * grey + 0.55 * colors).clip(0, 255).astype(np.uint8))
