"""One process of `benchmarks.allocator`: train a network for some steps and print time and memory of each as JSON."""

import json
import resource
import sys
import time
from typing import Any

from descent.allocator import tune_allocator

tune_allocator()  # unless DESCENT_ALLOCATOR says system; before torch

import torch  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from benchmarks.common.processes import resident_bytes  # noqa: E402
from lightning_modules.networks import ResNet8, ResNet18Cifar  # noqa: E402

NETWORKS = {"ResNet8": ResNet8, "ResNet18Cifar": ResNet18Cifar}


def faults() -> int:
    """Return the number of memory pages that the system has given to this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def steps(name: str, batch: int, count: int, evaluation: int) -> list[dict[str, Any]]:
    """Train in bf16; after every tenth step evaluate `evaluation` images, as a validation does."""
    torch.manual_seed(0)
    network = NETWORKS[name](num_classes=10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    rows = []
    for number in range(count):
        images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        targets = torch.randint(0, 10, (batch,))
        start, wall, before = time.process_time(), time.perf_counter(), faults()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = cross_entropy(network(images), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        times = {"cpu": time.process_time() - start, "wall": time.perf_counter() - wall}
        rows.append(times | {"faults": faults() - before, "resident": resident_bytes() // 2**20})
        if evaluation and number % 10 == 9:
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                network.eval()(torch.randn(evaluation, 3, 32, 32))
            network.train()
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = steps(sys.argv[1], *(int(word) for word in sys.argv[2:5]))
    print(json.dumps({"steps": found, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
