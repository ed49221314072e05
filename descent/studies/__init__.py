"""Compare candidates fairly: the same seeds and data, tuned rates, paired tests; open `comparison.py` first."""
