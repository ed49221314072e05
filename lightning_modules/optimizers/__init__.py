"""What stands between a config and `torch.optim`: parameter groups and checks."""

from lightning_modules.optimizers.real_steps import RealSteps

__all__ = ["RealSteps"]
