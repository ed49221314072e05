"""Statistics of layers during training; open `diagnostics.py` first."""
