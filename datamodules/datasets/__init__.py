"""Data sets: bundled with scikit-learn (digits, tables), generated (shapes, linear regression) or downloaded.

Open `digits.py` first: it is the shortest complete data source.
"""
