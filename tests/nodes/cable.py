"""Two network namespaces joined by a pair of virtual cables, as two machines; needs root and iproute2."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60  # for the processes of a node to end


def ip(*words: str) -> str:
    """Run `ip` and return its output."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Node:
    """A namespace with one end of the cable."""

    namespace: str
    cable: str
    address: str

    def make(self) -> None:
        """Create the namespace, without its cable."""
        ip("netns", "add", self.namespace)
        ip("-n", self.namespace, "link", "set", "lo", "up")

    def plug_in(self) -> None:
        """Give the node its end of the cable."""
        ip("link", "set", self.cable, "netns", self.namespace)
        ip("-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", self.cable)
        self.switch("up")

    def switch(self, state: str) -> None:
        """Unplug the cable, `down`, or plug it in again, `up`."""
        ip("-n", self.namespace, "link", "set", self.cable, state)

    def processes(self) -> list[int]:
        """List the node's processes, including torchrun's workers, which have sessions of their own."""
        if not Path("/run/netns", self.namespace).exists():
            return []
        return [int(number) for number in ip("netns", "pids", self.namespace).split()]

    def power_off(self) -> None:
        """Kill all processes, until none is left: a process may have started another one."""
        until = time.monotonic() + SECONDS
        while numbers := self.processes():
            assert time.monotonic() < until, f"{numbers} do not end in {self.namespace}"
            for number in numbers:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)

    def remove(self) -> None:
        """Remove the namespace and its end of the cable."""
        self.power_off()
        subprocess.run(["ip", "link", "del", self.cable], capture_output=True, check=False)  # not yet plugged in
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True, check=False)


@contextmanager
def two_nodes() -> Iterator[tuple[Node, Node]]:
    """Create two nodes with a cable between them; at the end remove their processes and namespaces."""
    mine = f"{os.getpid()}{time.monotonic_ns() % 1000}"  # a cable's name has at most 15 letters
    first, second = (Node(f"descent{mine}{end}", f"dv{mine}{end}", f"10.77.0.{end}") for end in (1, 2))
    try:
        first.make()
        second.make()
        ip("link", "add", first.cable, "type", "veth", "peer", "name", second.cable)
        first.plug_in()
        second.plug_in()
        yield first, second
    finally:
        try:
            first.remove()
        finally:
            second.remove()


def namespaces_work() -> bool:
    """Return whether this machine allows network namespaces."""
    try:
        with two_nodes():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
