"""Optimizers and their parameter groups, gradient clipping and checks; open `build.py` first."""

from lightning_modules.optimizers.adafactor import Adafactor
from lightning_modules.optimizers.build import build_optimizer
from lightning_modules.optimizers.hyperparameters import check_hyperparameters
from lightning_modules.optimizers.normalised_muon import NormalisedMuon
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.optimizers.taken_steps import TakenSteps

__all__ = ["Adafactor", "NormalisedMuon", "ParameterGroups", "TakenSteps", "build_optimizer", "check_hyperparameters"]
