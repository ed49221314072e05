"""Check that the ranks of a run agree; open `rank_guard.py` first."""
