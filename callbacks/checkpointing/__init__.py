"""Save checkpoints that survive a crash, and load them safely; open `checkpoint.py` first."""
