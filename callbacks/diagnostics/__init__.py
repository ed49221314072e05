"""Measure layers during training and report dead, frozen or saturated ones; open `diagnostics.py` first."""
