"""Decisions after each round of seeds, intervals, power: pure functions of arrays; open `sequential_test.py` first."""
