"""Evaluate a network that classifies each pixel. Read `evaluation.py` first."""
