"""Tell images apart by content: divide them into parts, compare those with a checkpoint's. Open `parts.py` first."""
