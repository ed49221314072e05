"""Learning-rate schedules whose lengths come from the trainer."""

from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.cosine import Cosine, WarmRestarts
from lightning_modules.schedulers.cycles import Cyclic, OneCycle
from lightning_modules.schedulers.decays import Constant, ExponentialDecay, Milestones, Polynomial, StepDecay
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.schedulers.monitor import check_monitor, observe_plateaus
from lightning_modules.schedulers.plateau import Plateau
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.stable_decay import StableDecay
from lightning_modules.schedulers.step_schedule import StepSchedule
from lightning_modules.schedulers.torch_class import TorchSchedule
from lightning_modules.schedulers.warmup import Warmup

__all__ = [
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
