"""Data sets that ship with the project or are downloaded; open `digits.py` first."""
