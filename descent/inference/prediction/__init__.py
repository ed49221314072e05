"""Predict images that the network has not seen; open `prediction.py` first."""
