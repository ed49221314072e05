"""Find a learning rate by a range test and short runs, and scale rates to the batch size; open `finder.py` first."""
