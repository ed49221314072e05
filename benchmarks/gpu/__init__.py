"""Run every check that needs a real GPU and print a table; open `__main__.py` first."""
