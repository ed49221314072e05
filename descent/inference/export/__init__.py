"""Export a trained network to ONNX or torch; open `onnx_file.py` first."""
