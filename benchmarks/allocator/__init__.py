"""How much the tuned memory allocator speeds up training; open `__main__.py` first; it runs `contestant.py`."""
