"""Time and memory of a save (`__main__.py`, open it first), and whether killed runs resume exactly (`kills.py`)."""
