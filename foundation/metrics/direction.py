"""Whether a larger or a smaller value of a logged metric is better: known names, and torchmetrics' own statement."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from foundation.errors import UserError
from foundation.metrics.names import STAGES as STAGE_NAMES
from foundation.suggestions import suggest

if TYPE_CHECKING:
    from torch import nn

Direction = Literal["min", "max"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SMALLER_IS_BETTER = _words(
    """
    loss error err mse mae rmse msle rmsle mape smape nll bce cross_entropy perplexity ppl brier brier_score ece fid kid
    calibration_error error_rate lpips sliced_wasserstein wasserstein wer cer ter eer bits_per_dim bits_per_byte
    hausdorff hausdorff_distance
    """
)
LARGER_IS_BETTER = _words(
    """
    accuracy acc top1 top5 accuracy_top1 accuracy_top5 balanced_accuracy exact_match f1 f1_score fbeta precision recall
    sensitivity specificity auroc auc roc_auc auprc pr_auc ap average_precision map mean_average_precision mrr ndcg iou
    miou mean_iou jaccard dice dice_score r2 explained_variance kappa mcc psnr ssim bleu rouge meteor inception_score
    pearson spearman
    """
)
ADVERSARIAL = _words("generator discriminator adversarial critic gen disc real fake g d")
"""Words that mark a loss or an accuracy of two networks against each other, for which neither direction is better."""

STAGES = re.compile(r"^(train|training|val|valid|validation|test|eval)[ _.\-]+")
LOADER = re.compile(r"/dataloader_idx_\d+$")
DECORATIONS = _words("macro micro weighted mean avg average epoch step ema binary multiclass multilabel")
VARIANTS = ("Binary", "Multiclass", "Multilabel")


def known_direction(monitor: str, measured: Mapping[str, Direction] | None = None) -> Direction | None:
    """Return `"min"` if a smaller value is better, `"max"` if a larger one is, `None` if that is not known.

    Args:
        monitor: Name of a logged value, such as `val/accuracy` or `val_loss`.
        measured: What the module itself says about its metrics by name, see `directions_of`; it comes first.

    Example:
        >>> [known_direction(name) for name in ("val/loss", "valid_acc", "val/macro_f1", "val/mean_squared_error")]
        ['min', 'max', 'max', 'min']
        >>> [known_direction(name) for name in ("val/elbo", "train/generator_loss", "step")]
        [None, None, None]
    """
    name = metric_name(monitor)
    if measured and name in measured:
        return measured[name]
    words = [word for word in re.split(r"[^a-z0-9]+", name) if word]
    plain = [word for word in words if word not in DECORATIONS] or words
    for candidate in ("_".join(words), "_".join(plain)):
        if candidate in SMALLER_IS_BETTER:
            return "min"
        if candidate in LARGER_IS_BETTER:
            return "max"
        if candidate in torchmetrics_directions():
            return torchmetrics_directions()[candidate]
    if not plain or ADVERSARIAL & set(plain):
        return None
    return {"loss": "min", "error": "min", "accuracy": "max", "acc": "max"}.get(plain[-1])  # type: ignore[return-value]


def metric_name(monitor: str) -> str:
    """Return the name of a metric without the stage, in lower case.

    Example:
        >>> metric_name("val/F1"), metric_name("val_loss"), metric_name("value_loss"), metric_name("loss/validation")
        ('f1', 'loss', 'value_loss', 'loss')
    """
    *before, name = LOADER.sub("", monitor).lower().split("/")
    return STAGES.sub("", before[-1] if before and name in STAGE_NAMES else name)


def direction_for(
    who: str,
    monitor: str,
    mode: str | None,
    measured: Mapping[str, Direction] | None = None,
    key: str = "mode",
) -> Direction:
    """Return the direction of a monitored value; check a mode that was given against it.

    Args:
        who: What monitors the value, the beginning of the message: `The checkpoint`.
        monitor: Name of the value.
        mode: `min`, `max`, or `None` to take the known direction.
        measured: See `known_direction`.
        key: Name of the setting that holds the mode, for the message.

    Raises:
        UserError: The mode contradicts what is known of the metric, or neither is known.

    Example:
        >>> direction_for("The checkpoint", "val/accuracy", None)
        'max'
        >>> direction_for("The checkpoint", "val/accuracy", "min")
        Traceback (most recent call last):
        foundation.errors.UserError: The checkpoint monitors 'val/accuracy' with mode min, but a larger accuracy is \
better: set mode: max.
    """
    known = known_direction(monitor, measured)
    if mode is None and known is None:
        raise UserError(
            f"{who} monitors {monitor!r}, and it is not known whether a larger or a smaller value of it is better: set"
            f" {key}: max or {key}: min.{similar_name(monitor)}"
        )
    if mode is not None and known is not None and mode != known:
        way = "smaller" if known == "min" else "larger"
        raise UserError(
            f"{who} monitors {monitor!r} with mode {mode}, but a {way} {metric_name(monitor)} is better: set"
            f" {key}: {known}."
        )
    return known or ("max" if mode == "max" else "min")


def similar_name(monitor: str) -> str:
    """Return ` Did you mean …?` with the known name that is most similar, or an empty string.

    Example:
        >>> similar_name("val/los")
        " Did you mean 'val/loss'?"
    """
    name = metric_name(monitor)
    start = monitor[: len(monitor) - len(name)]
    return suggest(repr(monitor), [repr(start + known) for known in sorted(SMALLER_IS_BETTER | LARGER_IS_BETTER)])


def directions_of(module: nn.Module) -> dict[str, Direction]:
    """Return what a module knows about its metrics: its own `metric_directions()`, and its torchmetrics objects.

    Args:
        module: A LightningModule. A metric in an attribute `val_kappa` is taken for a value named `kappa`.
    """
    found = {metric_name(path.rpartition(".")[2]): metric for path, metric in module.named_modules() if path}
    own: Any = getattr(module, "metric_directions", None)
    return directions_of_metrics(found) | (own() if callable(own) else {})


def directions_of_metrics(metrics: Mapping[str, Any]) -> dict[str, Direction]:
    """Return the directions of the torchmetrics objects among these, by name, as far as torchmetrics states them.

    Example:
        >>> import torchmetrics
        >>> directions_of_metrics({"rmse": torchmetrics.MeanSquaredError(), "sum": torchmetrics.SumMetric()})
        {'rmse': 'min'}
    """
    from torchmetrics import Metric  # loading it takes a second

    stated = {name: metric.higher_is_better for name, metric in metrics.items() if isinstance(metric, Metric)}
    return {name: "max" if larger else "min" for name, larger in stated.items() if isinstance(larger, bool)}


@cache
def torchmetrics_directions() -> dict[str, Direction]:
    """Return the direction of every metric of torchmetrics that states one, by its name in snake case.

    Classes whose names differ only by `Binary`, `Multiclass` and `Multilabel` share the rest of the name.
    """
    import torchmetrics
    import torchmetrics.classification

    found: dict[str, Direction] = {}
    for package in (torchmetrics, torchmetrics.classification):
        for name, kind in vars(package).items():
            larger = getattr(kind, "higher_is_better", None)
            if isinstance(kind, type) and issubclass(kind, torchmetrics.Metric) and isinstance(larger, bool):
                short = next((name.removeprefix(v) for v in VARIANTS if name.startswith(v)), name)
                snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", short).lower()
                found[snake] = "max" if larger else "min"
    found.pop("spectral_distortion_index", None)  # torchmetrics states max, but 0 is the best
    return found
