"""Losses that torch lacks, or that handle class weights, unlabelled targets and mixed precision.

Each file holds one formula: a pure function and the module class that a config names. Open `cross_entropy.py` first.
`reduction.py`, `tensor_checks.py` and `sigmoid_targets.py` hold what the losses share; `input_contract.py` and
`batch_checks.py` describe which inputs a loss accepts and find mistakes in the first batch.
"""

from lightning_modules.losses.adversarial import (
    AdversarialLoss,
    HingeAdversarialLoss,
    LeastSquaresLoss,
    NonSaturatingLoss,
)
from lightning_modules.losses.cross_entropy import WeightedCrossEntropyLoss, cross_entropy
from lightning_modules.losses.focal import SoftmaxFocalLoss, softmax_focal_loss
from lightning_modules.losses.msle import MSLELoss, msle
from lightning_modules.losses.overlap_losses import (
    DiceLoss,
    JaccardLoss,
    TverskyLoss,
    dice_loss,
    jaccard_loss,
    tversky_loss,
)
from lightning_modules.losses.probability_bce import ProbabilityBCELoss, probability_bce
from lightning_modules.losses.rmse import RMSELoss, rmse
from lightning_modules.losses.sigmoid_cross_entropy import SigmoidCrossEntropyLoss, sigmoid_cross_entropy
from lightning_modules.losses.sigmoid_focal import SigmoidFocalLoss, sigmoid_focal_loss

__all__ = [
    "AdversarialLoss",
    "DiceLoss",
    "HingeAdversarialLoss",
    "JaccardLoss",
    "LeastSquaresLoss",
    "MSLELoss",
    "NonSaturatingLoss",
    "ProbabilityBCELoss",
    "RMSELoss",
    "SigmoidCrossEntropyLoss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "TverskyLoss",
    "WeightedCrossEntropyLoss",
    "cross_entropy",
    "dice_loss",
    "jaccard_loss",
    "msle",
    "probability_bce",
    "rmse",
    "sigmoid_cross_entropy",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "tversky_loss",
]
