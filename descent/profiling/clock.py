"""Where the time of a training step goes, by what Lightning tells a profiler and by hooks on network and loss."""

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
_OF_STEP = {
    "next batch": "waiting for data",
    "transfer": "transfer and augmentation",
    "training step": "rest of training_step",
    "backward": "backward",
    "clipping": "clipping",
    "optimizer step": "optimizer",
    "zero grad": "optimizer",
}


class StepClock(Profiler):
    """Charges each moment to the innermost part that is under way.

    Args:
        wait: Called before each look at the clock: on a GPU `torch.cuda.synchronize`, else the work is charged
            to whoever waits for it first.

    Example:
        >>> clock = StepClock()
        >>> with clock.profile("[Strategy]SingleDeviceStrategy.backward"):
        ...     pass
        >>> [part for part, seconds in clock.seconds.items() if seconds > 0 and part == "backward"]
        ['backward']
    """

    def __init__(self, wait: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.wait = wait
        self.seconds: Counter[str] = Counter()
        self.callbacks: Counter[str] = Counter()
        self._under_way: list[tuple[str, float]] = []  # part, and when it began
        self._since = self._reset_at = time.perf_counter()

    def reset(self) -> None:
        """Forget what was measured; what is under way goes on."""
        self.charge()
        self._reset_at = self._since
        self.seconds.clear()
        self.callbacks.clear()

    def start(self, action_name: str) -> None:
        """A part begins."""
        self.charge()
        outer = self._under_way[-1][0] if self._under_way else PARTS[-1]
        self._under_way.append((part_of(action_name) or outer, self._since))

    def stop(self, action_name: str) -> None:
        """A part ends."""
        self.charge()
        if not self._under_way:
            return
        _, began = self._under_way.pop()
        if name := profiled_callback(action_name):
            self.callbacks[name] += self._since - max(began, self._reset_at)  # type: ignore[assignment]

    def charge(self) -> None:
        """Add the time since the last look at the clock to the part that is under way."""
        if self.wait is not None:
            self.wait()
        now = time.perf_counter()
        part = self._under_way[-1][0] if self._under_way else PARTS[-1]
        self.seconds[part] += now - self._since  # type: ignore[assignment]
        self._since = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, charged to a part."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self.start(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.stop(part)

        return run

    def watch(self, module: Any, part: str) -> None:
        """Charge the calls of an `nn.Module` to a part."""
        module.register_forward_pre_hook(lambda *_: self.start(part))
        module.register_forward_hook(lambda *_: self.stop(part), always_call=True)


def part_of(action: str) -> str | None:
    """The part that Lightning's name of an action belongs to; `None`: that around it.

    Example:
        >>> part_of("[Callback]GradientNorm.on_train_batch_end"), part_of("[Strategy]SingleDeviceStrategy.backward")
        ('callbacks', 'backward')
    """
    if action in PARTS:
        return action
    if profiled_callback(action):
        return "callbacks"
    step = profiled_step(action)
    return None if step is None else _OF_STEP[step]
