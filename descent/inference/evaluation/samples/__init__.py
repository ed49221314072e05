"""Labelled samples: their folder, those that the run has seen, probably wrong labels. Read `labelled_folder.py` first."""
