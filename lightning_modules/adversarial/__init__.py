"""Generative adversarial networks; open `gan.py` first."""
