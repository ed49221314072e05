"""How time and memory grow with the size of a problem; open `__main__.py` first, `point.py` measures one size."""
