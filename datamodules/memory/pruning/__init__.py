"""Pruned runs: each epoch leaves out some samples of low loss.

Open `method.py` first: it holds the method and its source. `choice.py` keeps the losses of a run and chooses.
"""
