"""Logged metrics: the direction that is better, and when a value was measured; open `direction.py` first."""
