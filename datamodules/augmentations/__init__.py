"""Augmentations of a whole batch on its device, whose random choices are functions of seed, epoch and image.

Open `base.py` first: it says what an augmentation must define.
"""
