"""Lightning's launcher of processes on this machine; when one ends it says so, and gives the others time to say why."""

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

EVERY = 0.5  # seconds between two looks
GRACE = 10.0  # seconds in which the first process may end by itself, with its own words


class WatchedLauncher(ScriptLauncher):
    """Starts a process a device; stops all of them when one fails.

    Lightning's own looks every 5 s and then kills the first process at once: whether it says what is wrong, and with
    which exit code it ends, is a matter of luck.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.over = threading.Event()

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the others, then go on as the first, each on its share of the cores unless `OMP_NUM_THREADS` is set."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self.start_other_processes()
            threading.Thread(target=watch, args=(self.procs, self.over), daemon=True, name="watch").start()
        self.share_cores()
        try:
            return function(*args, **kwargs)
        except BaseException:
            # Those that have met lose the connection and end with their own words. The others might wait for ever:
            # where the port is another program's, they are connected to that.
            if self.procs and not dist.is_initialized():
                self.over.set()
                for process in self.procs:
                    process.kill()
            raise


def watch(processes: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """Wait until all have ended; when one fails, end the others and this one, unless this one is ending: `over`."""
    while True:
        codes = [process.poll() for process in processes]
        failed = next((rank for rank, code in enumerate(codes, start=1) if code), None)
        if failed is not None:
            break
        if over.is_set() or all(code == 0 for code in codes):
            return
        time.sleep(EVERY)
    if over.is_set():
        return
    code = codes[failed - 1] or 0
    said = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    print(f"rank {failed} {said}: all processes stop.", file=sys.stderr, flush=True)
    time.sleep(GRACE)  # by then the first one has lost the connection and has ended, unless it waits on a device
    for process in processes:
        process.kill()
    os._exit(128 - code if code < 0 else code)
