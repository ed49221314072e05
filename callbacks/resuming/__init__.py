"""Resume a run exactly, and end it in order; open `exact_resume.py` first."""
