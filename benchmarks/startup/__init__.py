"""Time to the first training step; open `__main__.py` first, `bare.py` is the script without this project."""
