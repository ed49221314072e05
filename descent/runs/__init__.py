"""Run folders: numbering, lookup, saved config, loggers, summary; open `folder.py` first."""
