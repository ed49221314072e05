"""How fast images are decoded, cached and augmented; open `__main__.py` first, it times the loaders of `loaders.py`."""
