"""Descent: train networks with PyTorch Lightning, everything chosen in a config."""
