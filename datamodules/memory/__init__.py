"""Data held in memory: order, split, normalisation, resume; open `data_module.py` first."""
