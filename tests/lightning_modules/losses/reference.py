"""The textbook's formulas of the losses in decimal arithmetic of 100 digits: slow, and independent of torch.

Naive formulas are safe here: exp(10000) fits, and 1 − p keeps its digits. Gradients are central differences.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, getcontext

import torch
from torch import Tensor

Row = Sequence[Decimal]
Rows = Sequence[Row]
Reference = Callable[[Rows, Rows], Decimal]
"""(samples × outputs, samples × targets) → loss."""

_CONTEXT = getcontext()
_CONTEXT.prec, _CONTEXT.Emax, _CONTEXT.Emin = 100, 10**9, -(10**9)
ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)


def exact(tensor: Tensor) -> list[list[Decimal]]:
    """Convert each float to its exact decimal value, one row per sample."""
    return [[Decimal(value) for value in row] for row in tensor.double().reshape(len(tensor), -1).tolist()]


def value_and_gradient(reference: Reference, output: Tensor, target: Tensor) -> tuple[float, Tensor]:
    """The reference's value, and its gradient by (f(x + h) − f(x − h)) / 2h with h = 1e-40."""
    rows, targets, h = exact(output), exact(target), Decimal("1e-40")
    gradient = torch.zeros(len(rows), len(rows[0]), dtype=torch.float64)
    for i, row in enumerate(rows):
        for j, x in enumerate(row):
            row[j] = x + h
            above = reference(rows, targets)
            row[j] = x - h
            below = reference(rows, targets)
            row[j] = x
            gradient[i, j] = float((above - below) / (2 * h))
    return float(reference(rows, targets)), gradient.reshape(output.shape)


def mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, ZERO) / len(values)


def softmax(row: Row) -> list[Decimal]:
    powers = [x.exp() for x in row]
    return [power / sum(powers, ZERO) for power in powers]


def sigmoid(x: Decimal) -> Decimal:
    return ONE / (ONE + (-x).exp())


def power(base: Decimal, exponent: Decimal) -> Decimal:
    return ONE if exponent == 0 else ZERO if base <= 0 else base**exponent


def elementwise(term: Callable[[Decimal, Decimal], Decimal]) -> Reference:
    """The mean of a term over all elements."""

    def loss(output: Rows, target: Rows) -> Decimal:
        return mean([term(x, y) for xs, ys in zip(output, target, strict=True) for x, y in zip(xs, ys, strict=True)])

    return loss


def huber(delta: str) -> Callable[[Decimal, Decimal], Decimal]:
    d = Decimal(delta)

    def term(x: Decimal, y: Decimal) -> Decimal:
        e = abs(x - y)
        return e * e / 2 if e <= d else d * e - d * d / 2

    return term


def rmse(output: Rows, target: Rows) -> Decimal:
    return elementwise(lambda x, y: (x - y) ** 2)(output, target).sqrt()


def msle(floor: str | None = None) -> Callable[[Decimal, Decimal], Decimal]:
    def term(x: Decimal, y: Decimal) -> Decimal:
        if floor is not None and x < Decimal(floor):
            start = ONE + Decimal(floor)
            log = start.ln() + (x - Decimal(floor)) / start
        else:
            log = (ONE + x).ln()
        return (log - (ONE + y).ln()) ** 2

    return term


def bce(p: Decimal, y: Decimal) -> Decimal:
    return -(y * p.ln() if y else ZERO) - ((ONE - y) * (ONE - p).ln() if y != 1 else ZERO)


def sigmoid_focal(
    gamma: str = "0", alpha: str | None = None, smoothing: str = "0", pos_weight: str = "1", ignored: int = -1
) -> Reference:
    """Binary focal loss of logits (cross-entropy where γ = 0): for targets 0 and 1, and mixtures of both."""
    g, w, s = Decimal(gamma), Decimal(pos_weight), Decimal(smoothing)
    a, b = (ONE, ONE) if alpha is None else (Decimal(alpha), ONE - Decimal(alpha))

    def term(x: Decimal, y: Decimal) -> Decimal:
        p, not_p, y = sigmoid(x), sigmoid(-x), y * (ONE - s) + s / 2
        return -y * a * w * power(not_p, g) * p.ln() - (ONE - y) * b * power(p, g) * not_p.ln()

    def loss(output: Rows, target: Rows) -> Decimal:
        pairs = [(x, y) for xs, ys in zip(output, target, strict=True) for x, y in zip(xs, ys, strict=True)]
        return mean([term(x, y) for x, y in pairs if y != ignored])

    return loss


def focal(
    gamma: str = "0",
    alpha: Sequence[str] | None = None,
    weights: Sequence[str] | None = None,
    smoothing: str = "0",
    ignore_index: int = -100,
) -> Reference:
    """Cross-entropy where γ = 0; targets are class numbers (one column) or probabilities (C columns)."""
    g, s = Decimal(gamma), Decimal(smoothing)

    def loss(output: Rows, target: Rows) -> Decimal:
        classes = range(len(output[0]))
        a = [Decimal(alpha[c]) if alpha else ONE for c in classes]
        w = [Decimal(weights[c]) if weights else ONE for c in classes]
        total, whole = ZERO, ZERO
        for xs, ys in zip(output, target, strict=True):
            p = softmax(xs)
            shares = {int(ys[0]): ONE} if len(ys) == 1 else dict(enumerate(ys))
            for t, share in shares.items():
                if t == ignore_index:
                    continue
                even = -sum((w[c] * p[c].ln() for c in classes), ZERO) / len(classes)
                cost = -(ONE - s) * w[t] * p[t].ln() + s * even
                others = sum((p[c] for c in classes if c != t), ZERO)  # 1 − p_t, without its cancellation
                total += share * a[t] * power(others, g) * cost
                whole += share * (w[t] if len(ys) == 1 else ONE)
        return total / whole

    return loss


def overlap(
    alpha: str,
    beta: str,
    smooth: str,
    mode: str,
    classes: int,
    per_image: bool = False,
    ignore_absent: bool = False,
    weights: Sequence[str] | None = None,
    ignore_index: int = 255,
) -> Reference:
    """Tversky; a row of the output holds the classes one after the other, each with all its pixels."""
    a, b, s = Decimal(alpha), Decimal(beta), Decimal(smooth)

    def sums(xs: Row, ys: Row, c: int) -> tuple[Decimal, Decimal, Decimal]:
        pixels = len(xs) // classes
        both, predicted, actual = ZERO, ZERO, ZERO
        for i in range(pixels):
            label = ys[i] if mode == "multiclass" else ys[c * pixels + i]
            if label == ignore_index:
                continue
            if mode == "multiclass":
                p = softmax([xs[k * pixels + i] for k in range(classes)])[c]
                y = ONE if label == c else ZERO
            else:
                p, y = sigmoid(xs[c * pixels + i]), label
            both, predicted, actual = both + p * y, predicted + p, actual + y
        return both, predicted, actual

    def loss(output: Rows, target: Rows) -> Decimal:
        groups = [[i] for i in range(len(output))] if per_image else [list(range(len(output)))]
        total, whole = ZERO, ZERO
        for group in groups:
            for c in range(classes):
                parts = [sums(output[i], target[i], c) for i in group]
                both, predicted, actual = (sum(column, ZERO) for column in zip(*parts, strict=True))
                if ignore_absent and actual == 0:
                    continue
                w = Decimal(weights[c]) if weights else ONE
                score = (both + s) / (both + a * (predicted - both) + b * (actual - both) + s)
                total, whole = total + w * (ONE - score), whole + w
        return total / whole if whole else ZERO

    return loss


def adversarial(real: Callable[[Decimal], Decimal], fake: Callable[[Decimal], Decimal]) -> Reference:
    """The discriminator's two terms, each a mean over its own samples; targets are 1 for real ones."""

    def loss(output: Rows, target: Rows) -> Decimal:
        pairs = [(xs[0], ys[0]) for xs, ys in zip(output, target, strict=True)]
        return mean([real(x) for x, y in pairs if y == 1]) + mean([fake(x) for x, y in pairs if y == 0])

    return loss
