"""A private part of torchmetrics."""

from torchmetrics import Metric


def set_update_count(metric: Metric, count: int) -> None:
    """Set how often a metric was updated, after its state was loaded; `update_count` is read-only.

    Without it `compute` warns that nothing was measured, and `forward` takes the next batch for the first.
    """
    metric._update_count = count
