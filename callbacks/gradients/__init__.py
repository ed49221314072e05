"""Gradient norms and what clipping does to them; open `gradient_norm.py` first."""
