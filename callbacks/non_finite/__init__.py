"""Find where a NaN or infinity came from; open `black_box.py` first."""
