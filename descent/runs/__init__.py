"""A run's folder `runs/<experiment>/<n>`: numbering, lookup, saved config, loggers, summary; open `folder.py` first."""
