"""Augmentations of a batch on the device; open `base.py` first."""
