"""Whole studies with a known truth: how often `descent compare` errs, and at which cost; open `__main__.py`."""
