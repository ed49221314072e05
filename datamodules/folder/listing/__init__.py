"""Find the images of a folder: its splits, its classes, the files in them. Open `layout.py` first, then `tree.py`."""
