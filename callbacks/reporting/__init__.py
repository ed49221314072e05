"""What a run tells while it trains: progress, history, images, predictions; open `progress.py` first."""
