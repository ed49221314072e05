"""Train a copy of a module as the run would, and leave everything as it was; open `fit.py` first."""
