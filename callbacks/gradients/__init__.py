"""Measure gradient norms and report what clipping does to them; open `gradient_norm.py` first."""
