"""Resume a run with other optimizer settings or another schedule: apply or refuse them; open `settings.py` first."""
