"""Base classes of all tasks; open `supervised.py` first."""
