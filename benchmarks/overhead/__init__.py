"""What a training step costs beside the arithmetic; open `__main__.py` first, `contestants.py` holds what it times."""
