"""`descent show`: figures of losses, optimizers and schedulers; open `show.py` first."""
