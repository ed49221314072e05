"""Report on a run: progress, history and curves, first images, predictions; open `progress.py` first."""
