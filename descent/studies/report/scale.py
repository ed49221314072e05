"""How values and differences of a metric are written."""

SHARES = ("accuracy", "recall", "precision", "f1", "dice", "iou", "jaccard", "auroc", "specificity")
"""Words in the names of metrics that are shares between 0 and 1."""


def is_share(metric: str) -> bool:
    """Tell whether a metric is a share between 0 and 1, which is written in percent."""
    return any(word in metric.rpartition("/")[2] for word in SHARES)


class Scale:
    """Format values of a metric: shares in percent and their differences in points, other metrics as numbers.

    Args:
        metric: Name of the metric.

    Example:
        >>> Scale("test/accuracy").value(0.9123), Scale("test/accuracy").difference(-0.0081)
        ('91.2 %', '−0.8 points')
        >>> Scale("test/accuracy").interval(0.0139, 0.0066, -0.0001), Scale("test/mae").difference(0.01234)
        ('1.4 points [0.7, 0.0]', '0.0123')
    """

    def __init__(self, metric: str) -> None:
        self.percent = is_share(metric)

    def value(self, value: float) -> str:
        """Format a value."""
        return signed(f"{100 * value:.1f} %" if self.percent else f"{value:.4g}")

    def difference(self, value: float) -> str:
        """Format a difference of two values."""
        return self.number(value) + (" points" if self.percent else "")

    def number(self, value: float) -> str:
        """Format a difference without its unit."""
        return signed(f"{100 * value:.1f}" if self.percent else f"{value:.3g}")

    def interval(self, value: float, low: float, high: float) -> str:
        """Format a difference with the ends of its interval."""
        return f"{self.difference(value)} [{self.number(low)}, {self.number(high)}]"


def signed(text: str) -> str:
    """Write a true minus sign, and none before zero.

    Example:
        >>> signed("-0.0 %"), signed("-0.3"), signed("-1.2e-05")
        ('0.0 %', '−0.3', '−1.2e−05')
    """
    number = text.split(" ")[0]
    if number.startswith("-") and float(number) == 0:
        text = text[1:]
    return text.replace("-", "−")


def enumerate_names(names: list[str]) -> str:
    """Join names: `A`, `A and B`, `A, B and C`.

    Example:
        >>> enumerate_names(["A", "B", "C"])
        'A, B and C'
    """
    if len(names) < 2:
        return "".join(names) or "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"
