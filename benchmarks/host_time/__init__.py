"""What a training step on a GPU costs the host; open `__main__.py` first, `contestants.py` holds what it times."""
