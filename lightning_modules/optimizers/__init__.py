"""What stands between a config and `torch.optim`: parameter groups and checks."""

from lightning_modules.optimizers.build import build_optimizer
from lightning_modules.optimizers.hyperparameters import check_hyperparameters
from lightning_modules.optimizers.normalised_muon import NormalisedMuon
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.optimizers.taken_steps import TakenSteps

__all__ = ["NormalisedMuon", "ParameterGroups", "TakenSteps", "build_optimizer", "check_hyperparameters"]
