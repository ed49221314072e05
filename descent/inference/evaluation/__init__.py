"""Evaluate a trained classifier on labelled images and write a page. Read `evaluation.py` first."""
