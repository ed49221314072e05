"""The temperature that predictions and exports may use: fitted on validation data, and only where it helps there."""

import json
from typing import Any, NamedTuple

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from descent.inference.classifiers import Classifier, SingleLabelClassifier
from descent.inference.evaluation.calibration import (
    apply_temperature,
    calibration_bins,
    fit_temperature,
    mean_nll,
)
from descent.inference.evaluation.labelled_predictions import validation_log_probabilities
from descent.inference.loading import TrainedNetwork
from foundation.errors import UserError

FOLDS, MIN_SAMPLES = 5, 20


class HeldOut(NamedTuple):
    """Calibration on validation samples that the temperature was not fitted on, by cross-validation.

    Args:
        nll: Mean negative log-likelihood without a temperature.
        nll_after: With it.
        ece: Expected calibration error without a temperature.
        ece_after: With it.
    """

    nll: float
    nll_after: float
    ece: float
    ece_after: float

    @property
    def helps(self) -> bool:
        """Whether the likelihood rises and the calibration error does not."""
        return self.nll_after < self.nll and self.ece_after <= self.ece


def held_out_calibration(log_probabilities: Tensor, targets: Tensor) -> HeldOut:
    """Fit a temperature on four fifths of the samples and apply it to the last fifth, five times.

    Shape:
        log_probabilities `(N, K)` float64, targets `(N,)`, with N ≥ 5.
    """
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    scaled = torch.empty_like(log_probabilities)
    for fold in range(FOLDS):
        held_out = order[fold::FOLDS]
        others = torch.ones(len(targets), dtype=torch.bool)
        others[held_out] = False
        fitted = fit_temperature(log_probabilities[others], targets[others])
        scaled[held_out] = apply_temperature(log_probabilities[held_out], fitted.value)
    before, after = (_scores(values, targets) for values in (log_probabilities, scaled))
    return HeldOut(before[0], after[0], before[1], after[1])


def _scores(log_probabilities: Tensor, targets: Tensor) -> tuple[float, float]:
    confidence, classes = log_probabilities.max(dim=1)
    return mean_nll(log_probabilities, targets), calibration_bins(confidence.exp(), classes == targets).ece


def usable_temperature(
    trained: TrainedNetwork, module: Classifier, given: float | None, mirror: bool = False
) -> tuple[float, str]:
    """Return the temperature to use, and a sentence that says where it comes from.

    Args:
        trained: The network.
        module: Its classifier.
        given: A temperature that the user gives; None: fit it on the run's validation data.
        mirror: Whether it is for probabilities that are the mean over each image and its mirror image.

    Raises:
        UserError: The network predicts labels, the validation data cannot be opened or is too small, or the fitted
            temperature makes the calibration worse on samples that it was not fitted on.
    """
    if not isinstance(module, SingleLabelClassifier):
        raise UserError("--temperature is for networks that predict one class; this one predicts labels. Leave it out.")
    if given is not None:
        return given, f"temperature {given:g}, as given"
    try:
        log_probabilities, targets = validation_log_probabilities(trained, module, mirror)
    except (UserError, MisconfigurationException, OSError) as error:
        raise UserError(
            f"--temperature fitted needs the run's validation data, which cannot be opened: {error} "
            "Give the number that descent evaluate printed: --temperature 1.5."
        ) from error
    if len(targets) < MIN_SAMPLES:
        raise UserError(
            f"--temperature fitted needs at least {MIN_SAMPLES} validation samples, the run has {len(targets)}."
        )
    value = fit_temperature(log_probabilities, targets).value
    held_out = held_out_calibration(log_probabilities, targets)
    reasons = _reasons_against(value, held_out, _evaluation_of(trained))
    if reasons:
        raise UserError(f"--temperature fitted is not used: {reasons} Leave it out, or give a number.")
    return value, (
        f"temperature {value:.4g}, fitted on {len(targets):,} validation samples; in cross-validation the negative "
        f"log-likelihood is {held_out.nll:.4g} without it and {held_out.nll_after:.4g} with it, the calibration error "
        f"{held_out.ece:.2%} and {held_out.ece_after:.2%}"
    )


def _reasons_against(value: float, held_out: HeldOut, evaluation: dict[str, Any]) -> str:
    if not held_out.helps:
        return (
            f"a temperature of {value:.4g} does not help on validation samples that it was not fitted on: negative "
            f"log-likelihood {held_out.nll:.4g} without and {held_out.nll_after:.4g} with it, calibration error "
            f"{held_out.ece:.2%} and {held_out.ece_after:.2%}."
        )
    calibration = evaluation.get("calibration", {})
    before, after = calibration.get("ece"), calibration.get("ece_after")
    if before is not None and after is not None and after >= before:
        return (
            f"on the {evaluation['samples']:,} samples of the run's evaluation it made the calibration error worse, "
            f"{before:.2%} without and {after:.2%} with it."
        )
    return ""


def _evaluation_of(trained: TrainedNetwork) -> dict[str, Any]:
    """Return the numbers of `descent evaluate` for this checkpoint, if it was evaluated since it was written."""
    file = trained.folder("evaluation") / "evaluation.json"
    try:
        if file.stat().st_mtime < trained.checkpoint.stat().st_mtime:
            return {}
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if content.get("checkpoint") == str(trained.checkpoint) else {}
