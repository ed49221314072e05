"""How fast the losses are; open `__main__.py` first, it times what `contestants.py` lists."""
