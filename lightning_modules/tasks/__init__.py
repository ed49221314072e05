"""One LightningModule per kind of task; open `image_classifier.py` first."""
