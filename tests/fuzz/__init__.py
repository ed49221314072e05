"""Generated mistakes on the command line; open `cases.py` first. `python -m tests.fuzz 5000` runs as many by hand."""
