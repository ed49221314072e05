"""Lightning's launcher of processes on this machine, which stops all of them when one fails."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch.distributed as dist

from foundation.compat.lightning import ScriptLauncher

POLL_INTERVAL = 0.5  # seconds
GRACE = 10.0  # seconds in which the first process may end by itself, with its own error message


class WatchedLauncher(ScriptLauncher):
    """Start one process per device; stop all of them when one fails.

    Lightning's own launcher checks every 5 s and then kills the first process at once, so that its error message and
    its exit code depend on timing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.over = threading.Event()

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the other processes, then run `function` in this one, the first.

        Each process gets its share of the cores, unless `OMP_NUM_THREADS` is set.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self.start_other_processes()
            threading.Thread(target=watch, args=(self.procs, self.over), daemon=True, name="watch").start()
        self.share_cores()
        try:
            return function(*args, **kwargs)
        except BaseException:
            # Connected processes lose the connection and end with an error of their own. Unconnected ones might wait
            # for ever: if another program uses the port, they are connected to that program.
            if self.procs and not dist.is_initialized():
                self.over.set()
                for process in self.procs:
                    process.kill()
            raise


def watch(processes: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """Wait until all have ended; when one fails, end the others and this process, unless `over` says that it ends."""
    while True:
        codes = [process.poll() for process in processes]
        failed = next((rank for rank, code in enumerate(codes, start=1) if code), None)
        if failed is not None:
            break
        if over.is_set() or all(code == 0 for code in codes):
            return
        time.sleep(POLL_INTERVAL)
    if over.is_set():
        return
    code = codes[failed - 1] or 0
    reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    print(f"rank {failed} {reason}: all processes stop.", file=sys.stderr, flush=True)
    time.sleep(GRACE)  # by now this process has lost the connection and ended, unless it waits for a device
    for process in processes:
        process.kill()
    os._exit(128 - code if code < 0 else code)
