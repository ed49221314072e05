"""What diagnostics cost per training step; open `__main__.py` first, `contestants.py` holds what it times."""
