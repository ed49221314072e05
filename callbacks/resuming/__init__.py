"""Resume a run with identical results, and save it when a signal ends it; open `exact_resume.py` first."""
