"""Evaluate a trained network and write a page; open `evaluation.py` first."""
