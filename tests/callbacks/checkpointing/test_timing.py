"""Saving by the clock: processes whose clocks differ save at the same batch, and once."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from callbacks.checkpointing.timing import SaveTiming

HOUR = timedelta(hours=1)


class OneBatchLate:
    """`AsyncMax` of processes that take turns: it answers with the largest number of the batch before."""

    def __init__(self) -> None:
        self.numbers: list[list[int]] = []

    def of(self, rank: int) -> Any:
        def reduce(number: int) -> int:
            if rank == 0:
                self.numbers.append([])
            self.numbers[-1].append(number)
            return max(self.numbers[-2], default=0) if len(self.numbers) > 1 else 0

        return SimpleNamespace(reduce=reduce, pending=None)


def after(step: int) -> Any:
    """Return a trainer after an optimizer step, in mid-epoch and without validation."""
    return SimpleNamespace(
        global_step=step, should_stop=False, max_steps=-1, is_last_batch=False, enable_validation=False,
        check_val_every_n_epoch=1, val_check_batch=None,
    )  # fmt: skip


def test_processes_save_together_and_once() -> None:
    answers, timings = OneBatchLate(), [SaveTiming(1, None, HOUR), SaveTiming(1, None, HOUR)]
    for rank, timing in enumerate(timings):
        timing.requests = answers.of(rank)
    saves: list[list[int]] = [[], []]
    for step in range(1, 8):
        if step == 3:
            timings[1].saved_at -= 3601  # the time of one process is up; the other's clock is a little late
        for timing, own in zip(timings, saves, strict=True):
            if timing.save_after_batch(after(step), step):
                timing.mark_saved(step)
                own.append(step)
    assert saves == [[4], [4]]


@pytest.mark.parametrize("pending", [1, 3])
def test_a_request_waits_for_a_batch_at_which_it_can_be_met(pending: int) -> None:
    """With one process the answer comes at once, and stays due within an accumulation window."""
    timing = SaveTiming(1, None, HOUR)
    timing.saved_at -= 3601
    timing.step_before = 5
    assert not any(timing.save_after_batch(after(5), number) for number in range(pending))
    assert timing.save_after_batch(after(6), pending)
    timing.mark_saved(6)
    assert not timing.save_after_batch(after(7), pending + 1)
