"""Ranges of numeric arguments, also of classes of other libraries; open `tables.py` first."""
