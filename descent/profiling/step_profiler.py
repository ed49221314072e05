"""A Lightning profiler that splits the time of a training step into parts, such as forward and backward."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from lightning.pytorch.profilers import Profiler

from foundation.compat.lightning_messages import profiled_callback, profiled_step

PARTS = (
    "waiting for data",
    "transfer and augmentation",
    "forward",
    "loss",
    "rest of training_step",
    "backward",
    "clipping",
    "optimizer",
    "logging",
    "callbacks",
    "Lightning's loop",
)
_PART_OF_STEP = {
    "next batch": "waiting for data",
    "transfer": "transfer and augmentation",
    "training step": "rest of training_step",
    "backward": "backward",
    "clipping": "clipping",
    "optimizer step": "optimizer",
    "zero grad": "optimizer",
}


class StepProfiler(Profiler):
    """Adds up the seconds of each part; while parts are nested, time counts for the innermost.

    Args:
        wait: Called before each reading of the clock: on a GPU `torch.cuda.synchronize`; without it, the time of a
            kernel would count for the first operation that waits for it.

    Example:
        >>> profiler = StepProfiler()
        >>> with profiler.profile("[Strategy]SingleDeviceStrategy.backward"):
        ...     pass
        >>> profiler.seconds["backward"] > 0
        True
    """

    def __init__(self, wait: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.wait = wait
        self.seconds: Counter[str] = Counter()
        self.callbacks: Counter[str] = Counter()
        self._running: list[tuple[str, float]] = []  # part and start, the innermost last
        self._read_at = self._reset_at = time.perf_counter()

    def reset(self) -> None:
        """Set all times to zero; parts that are running continue."""
        self.update()
        self._reset_at = self._read_at
        self.seconds.clear()
        self.callbacks.clear()

    def start(self, action_name: str) -> None:
        """Start an action of Lightning or a part."""
        self.update()
        self._running.append((part_of(action_name) or self._innermost(), self._read_at))

    def stop(self, action_name: str) -> None:
        """Stop it."""
        self.update()
        if not self._running:
            return
        _, started = self._running.pop()
        if name := profiled_callback(action_name):
            self.callbacks[name] += self._read_at - max(started, self._reset_at)  # type: ignore[assignment]

    def update(self) -> None:
        """Read the clock, and add the time since the last reading to the innermost part."""
        if self.wait is not None:
            self.wait()
        now = time.perf_counter()
        self.seconds[self._innermost()] += now - self._read_at  # type: ignore[assignment]
        self._read_at = now

    def _innermost(self) -> str:
        return self._running[-1][0] if self._running else PARTS[-1]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, its time counted for a part."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.profile(part):
                return function(*args, **kwargs)

        return run

    def watch(self, module: Any, part: str) -> None:
        """Count the calls of an `nn.Module` for a part."""
        module.register_forward_pre_hook(lambda *_: self.start(part))
        module.register_forward_hook(lambda *_: self.stop(part), always_call=True)


def part_of(action: str) -> str | None:
    """Return the part that an action of Lightning belongs to; `None`: the part around it.

    Example:
        >>> part_of("[Callback]GradientNorm.on_train_batch_end"), part_of("[Strategy]SingleDeviceStrategy.backward")
        ('callbacks', 'backward')
    """
    if action in PARTS:
        return action
    if profiled_callback(action):
        return "callbacks"
    step = profiled_step(action)
    return None if step is None else _PART_OF_STEP[step]
