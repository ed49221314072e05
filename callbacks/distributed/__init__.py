"""Checks between the processes of a run; open `rank_guard.py` first."""
