"""Data pruning against ordinary runs of as many samples; open `__main__.py` first."""
