"""Labelled samples: their folder, which the run has seen, probably wrong labels. Read `labelled_folder.py` first."""
