"""Paired tests, intervals, power: pure functions of arrays; open `paired_tests.py` first."""
