"""Notebooks, made from scripts."""
