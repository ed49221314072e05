"""Paired tests, intervals, power; pure functions."""
