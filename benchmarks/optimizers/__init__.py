"""How long an optimizer step takes; open `__main__.py` first, `contestants.py` holds what it times."""
