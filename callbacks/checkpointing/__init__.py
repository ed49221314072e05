"""Save checkpoints that survive a crash, and read them back; open `checkpoint.py` first."""
