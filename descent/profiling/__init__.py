"""Measure where a training step's time goes; open `profile.py` first."""
