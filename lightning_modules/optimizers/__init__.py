"""What stands between a config and `torch.optim`: parameter groups and checks."""
