"""Export a trained network to ONNX or torch.export. Read `formats.py` first."""
