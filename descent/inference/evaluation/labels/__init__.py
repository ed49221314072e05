"""Evaluate yes-or-no answers: binary classification, and each label of several. Read `curves.py` first."""
