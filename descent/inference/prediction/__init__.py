"""Classify image files that the network has not seen. Read `prediction.py` first."""
