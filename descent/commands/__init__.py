"""The commands of `descent`, one file each: help text, options, and what the command does.

Open `table.py` first, which names every command and its file; `parser.py` holds what the commands share. Only `cli.py`
imports this folder.
"""
