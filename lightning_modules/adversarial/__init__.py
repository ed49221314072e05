"""Generative adversarial networks (GANs); open `gan.py` first."""
