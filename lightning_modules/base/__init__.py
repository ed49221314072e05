"""What every task shares; open `supervised.py` first."""
