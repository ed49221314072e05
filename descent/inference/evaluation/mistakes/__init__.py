"""Explain a classifier's mistakes: probably wrong labels, where the network looked. Read `label_errors.py` first."""
