"""A study's page, figures and tables; open `write.py` first."""
