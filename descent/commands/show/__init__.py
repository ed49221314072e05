"""`descent show`: figures of the losses, optimizers and schedules that are shipped; open `show.py` first."""
