"""Features of images: what goes into the network's last layer. Read `embeddings.py` first."""
