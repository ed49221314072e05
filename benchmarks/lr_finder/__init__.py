"""Whether the suggested learning rate is near the best one; open `__main__.py` first, `table.py` shows the results."""
