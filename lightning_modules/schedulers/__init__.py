"""Learning-rate schedules whose lengths come from the trainer."""

from lightning_modules.schedulers.constant import Constant
from lightning_modules.schedulers.cosine import Cosine
from lightning_modules.schedulers.curve import Curve
from lightning_modules.schedulers.cyclic import Cyclic
from lightning_modules.schedulers.exponential_decay import ExponentialDecay
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.milestones import Milestones
from lightning_modules.schedulers.monitor import check_monitor, observe_plateaus
from lightning_modules.schedulers.one_cycle import OneCycle
from lightning_modules.schedulers.plateau import Plateau
from lightning_modules.schedulers.polynomial import Polynomial
from lightning_modules.schedulers.recipe import Recipe, build_schedule
from lightning_modules.schedulers.stable_decay import StableDecay
from lightning_modules.schedulers.step_decay import StepDecay
from lightning_modules.schedulers.torch_schedule import TorchSchedule
from lightning_modules.schedulers.warm_restarts import WarmRestarts
from lightning_modules.schedulers.warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "Curve",
    "Cyclic",
    "ExponentialDecay",
    "Horizon",
    "Milestones",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "Recipe",
    "StableDecay",
    "StepDecay",
    "TorchSchedule",
    "WarmRestarts",
    "Warmup",
    "build_schedule",
    "check_monitor",
    "observe_plateaus",
]
