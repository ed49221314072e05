"""Commands in forks of a test, with another number of devices if wanted. The test itself must not use CUDA."""

import os

from tests import forked
from tests.phantom_gpu import device


class Forked(forked.Forked):
    """A command of Descent in a fork that has a number of phantom devices."""

    def __init__(self, words: list[str], devices: int = 1) -> None:
        self.devices = devices
        super().__init__(words)

    def prepare(self) -> None:
        os.environ["PHANTOM_DEVICES"] = str(self.devices)
        device.library().phantom_read_environment()


def run(*words: str, devices: int = 1) -> str:
    """Run a command in a fork; return what it printed."""
    fork = Forked(list(words), devices)
    _, said = fork.communicate()
    assert fork.returncode == 0, f"exit code {fork.returncode}: {said[-3000:]}"
    return said
