"""Notebooks, made from the scripts in this folder; read `build.py` first."""
