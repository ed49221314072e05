"""The learning-rate finder and the scaling of rates; open `finder.py` first."""
