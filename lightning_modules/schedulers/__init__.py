"""Learning-rate schedules whose lengths come from the trainer."""

from lightning_modules.schedulers.constant import Constant
from lightning_modules.schedulers.cosine import Cosine
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.monitor import check_monitor, observe_plateaus
from lightning_modules.schedulers.one_cycle import OneCycle
from lightning_modules.schedulers.plateau import Plateau
from lightning_modules.schedulers.recipe import Recipe, build_schedule
from lightning_modules.schedulers.warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "Horizon",
    "OneCycle",
    "Plateau",
    "Recipe",
    "Warmup",
    "build_schedule",
    "check_monitor",
    "observe_plateaus",
]
