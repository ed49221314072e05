"""Cost model of data-parallel training: efficiency from computation, gradient bytes and bandwidth."""

from typing import NamedTuple


class Cluster(NamedTuple):
    """Processes that average gradients in a ring.

    Args:
        processes: Number of processes, N ≥ 1.
        bandwidth: Bytes per second of the slowest link, > 0.
        latency: Seconds per message, ≥ 0.
    """

    processes: int
    bandwidth: float
    latency: float = 0.0


class Prediction(NamedTuple):
    """Seconds of the parts of a training step, and the share of the time that is computation."""

    compute: float
    communication: float
    exposed: float
    efficiency: float


def ring_seconds(gradient_bytes: float, cluster: Cluster, bucket_bytes: float = 25 * 2**20) -> float:
    r"""Compute the time to average gradients, $\frac{2(N-1)}{N} \frac{G}{w} + 2(N-1)\,k\,l$.

    Args:
        gradient_bytes: $G$ ≥ 0: 4 × the number of weights, in float32.
        cluster: $N$ processes, bandwidth $w$, latency $l$.
        bucket_bytes: Size of a message, > 0 (25 MiB in DDP); there are $k = \lceil G / \text{bucket} \rceil$ of them.

    Example:
        >>> round(ring_seconds(102.4e6, Cluster(8, bandwidth=12.5e9)), 5)  # ResNet-50, 100 Gbit/s
        0.01434
    """
    hops = 2 * (cluster.processes - 1)
    buckets = -(-gradient_bytes // bucket_bytes)
    return hops / cluster.processes * gradient_bytes / cluster.bandwidth + hops * buckets * cluster.latency


def predict(
    compute: float, gradient_bytes: float, cluster: Cluster, hidden: float = 0.0, bucket_bytes: float = 25 * 2**20
) -> Prediction:
    r"""Predict the efficiency of a step, $E = \frac{c}{c + \max(r - h c,\, r_1)}$, $r_1$ being the last bucket's time.

    Args:
        compute: $c$ > 0: seconds of a step of one process alone, with its own batch.
        gradient_bytes: See `ring_seconds`, which gives $r$.
        cluster: See `ring_seconds`.
        hidden: $h$ in [0, 1): share of the step during which gradients can be averaged. At most 2/3, the share of the
            backward pass; 0 if sending occupies the cores that compute, as gloo on a CPU does.
        bucket_bytes: See `ring_seconds`. Averaging the last bucket never overlaps with computation.

    Example:
        >>> step = predict(0.25, 102.4e6, Cluster(8, bandwidth=1.25e9), hidden=0.6)  # ResNet-50, 10 Gbit/s
        >>> round(step.communication, 3), round(step.efficiency, 2)
        (0.143, 0.87)
    """
    communication = ring_seconds(gradient_bytes, cluster, bucket_bytes)
    last = ring_seconds(min(gradient_bytes, bucket_bytes), cluster, bucket_bytes)
    exposed = max(communication - hidden * compute, min(last, communication))
    return Prediction(compute, communication, exposed, compute / (compute + exposed))
