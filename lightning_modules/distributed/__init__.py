"""Modules whose state is spread over processes."""
