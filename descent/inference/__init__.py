"""Use a trained network: predict image files, evaluate it, export it. Read `loading.py` and `classifiers.py` first."""
