"""The cost model against hand-worked values and limits, and the arithmetic of the benchmark."""

import pytest

from benchmarks.scaling.__main__ import evaluate
from benchmarks.scaling.model import Cluster, predict, ring_seconds
from benchmarks.scaling.processes import network


def test_a_ring_by_hand() -> None:
    # 4 processes: each sends 3 quarters of 100 MB, twice, at 1 GB/s; 4 buckets of 25 MB, 6 messages of 10 µs each.
    assert ring_seconds(100e6, Cluster(4, 1e9, 10e-6), bucket_bytes=25e6) == pytest.approx(0.15 + 24 * 10e-6)
    assert ring_seconds(100e6, Cluster(1, 1e9, 1.0)) == 0


def test_limits() -> None:
    assert predict(1.0, 1e9, Cluster(1, 1e9)).efficiency == 1
    assert predict(1.0, 1e9, Cluster(2, 1e9)).efficiency == pytest.approx(0.5)
    hidden = predict(10.0, 100e6, Cluster(2, 1e9), hidden=0.6, bucket_bytes=25e6)
    assert hidden.exposed == pytest.approx(0.025), "all but the last bucket is hidden"
    many = [predict(1.0, 1e8, Cluster(count, 1e9)).efficiency for count in (2, 8, 64, 4096)]
    assert many == sorted(many, reverse=True)
    assert many[-1] == pytest.approx(1 / 1.2, abs=1e-3), "a ring costs at most two passes over the bytes"


def test_efficiencies_follow_from_the_times() -> None:
    times = {"one process": [0.9] * 4, "together": [1.0] * 4, "alone": [0.8] * 4, "averaging": [0.2] * 4}
    rows = {row.what: row.value for row in evaluate(times)}
    assert rows["efficiency: 1 process × 2 threads / 2 processes × 1 thread"] == pytest.approx(0.9)
    assert rows["efficiency: a process alone / two together"] == pytest.approx(0.8)
    assert rows["the same, predicted by the cost model"] == pytest.approx(0.8)
    assert rows["bytes a second"] == pytest.approx(4 * sum(p.numel() for p in network().parameters()) / 0.2)
