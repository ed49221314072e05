"""Losses that torch lacks or that need care."""
