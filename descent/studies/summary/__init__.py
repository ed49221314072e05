"""Several finished studies at once: mean ranks and performance profiles; open `read.py` first."""
