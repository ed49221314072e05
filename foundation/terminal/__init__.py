"""Lines that fit the terminal. Open `folding.py` first; `log_lines.py` uses it for what Lightning logs."""
