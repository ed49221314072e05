"""What several processes cost: computation, gradient bytes, bandwidth; how efficient a cluster will be."""

from typing import NamedTuple


class Cluster(NamedTuple):
    """Processes that average gradients around a ring.

    Args:
        processes: N ≥ 1.
        bandwidth: Of the slowest link, bytes a second > 0.
        latency: Of a message, seconds ≥ 0.
    """

    processes: int
    bandwidth: float
    latency: float = 0.0


class Prediction(NamedTuple):
    """A training step: its parts in seconds, and the share of the time that is computation."""

    compute: float
    communication: float
    exposed: float
    efficiency: float


def ring_seconds(gradient_bytes: float, cluster: Cluster, bucket_bytes: float = 25 * 2**20) -> float:
    r"""Time to average gradients, $\frac{2(N-1)}{N} \frac{G}{w} + 2(N-1)\,k\,l$.

    Args:
        gradient_bytes: $G$ ≥ 0: 4 × the number of weights in float32.
        cluster: $N$ processes, bandwidth $w$, latency $l$.
        bucket_bytes: > 0; there are $k = \lceil G / \text{bucket} \rceil$ messages; DDP's are 25 MiB.

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
    r"""Efficiency of a step, $E = \frac{c}{c + \max(r - h c,\, r_1)}$, $r_1$ being the last bucket's time.

    Args:
        compute: $c$ > 0, seconds of a step of one process at its own batch, without the others.
        gradient_bytes: As in `ring_seconds`, which gives $r$.
        cluster: Likewise.
        hidden: $h$ in [0, 1): the share of the step behind which averaging can hide. At most 2/3, the backward's;
            0 where sending takes the cores that compute, as gloo on a CPU does.
        bucket_bytes: As in `ring_seconds`. The last bucket never hides.

    Example:
        >>> step = predict(0.25, 102.4e6, Cluster(8, bandwidth=1.25e9), hidden=0.6)  # ResNet-50, 10 Gbit/s
        >>> round(step.communication, 3), round(step.efficiency, 2)
        (0.143, 0.87)
    """
    communication = ring_seconds(gradient_bytes, cluster, bucket_bytes)
    last = ring_seconds(min(gradient_bytes, bucket_bytes), cluster, bucket_bytes)
    exposed = max(communication - hidden * compute, min(last, communication))
    return Prediction(compute, communication, exposed, compute / (compute + exposed))
