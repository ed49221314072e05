"""Start from the weights of a file: read them, match their names, load what fits; open `initial.py` first."""
