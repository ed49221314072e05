"""Find where a NaN or infinity comes from, and repeat its step; open `black_box.py` first."""
