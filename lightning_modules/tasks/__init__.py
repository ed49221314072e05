"""One LightningModule a kind of task; open `image_classifier.py` first."""
