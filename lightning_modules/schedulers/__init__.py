"""Learning-rate schedules, whose lengths come from the trainer; open `decays.py` first, then `step_schedule.py`."""

from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.combined import Combined
from lightning_modules.schedulers.cycles import Cyclic, OneCycle, WarmRestarts
from lightning_modules.schedulers.decays import (
    Constant,
    Cosine,
    ExponentialDecay,
    Milestones,
    Polynomial,
    StableDecay,
    StepDecay,
)
from lightning_modules.schedulers.monitor import check_monitor, observe_plateaus
from lightning_modules.schedulers.plateau import Plateau
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory, StepSchedule
from lightning_modules.schedulers.torch_class import TorchSchedule
from lightning_modules.schedulers.warmup import Warmup

__all__ = [
    "Combined",
    "Constant",
    "Cosine",
    "Cyclic",
    "ExponentialDecay",
    "Milestones",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "RunLength",
    "ScheduleFactory",
    "StableDecay",
    "StepDecay",
    "StepSchedule",
    "TorchSchedule",
    "WarmRestarts",
    "Warmup",
    "build_schedule",
    "check_monitor",
    "observe_plateaus",
]
