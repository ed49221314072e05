"""Analysis, verdict, figures, tables and page of a finished study; open `write.py` first."""
