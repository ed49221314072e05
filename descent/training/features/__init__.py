"""Refuse or complete flags and callbacks of Lightning that would not do what they say; open `flags.py` first."""
