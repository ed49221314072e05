"""Evaluate a network that predicts numbers. Read `evaluation.py` first."""
