"""Say which key or value of a config or a command line is wrong.

Open `first_mistake.py` first: it walks what was given against the signatures of the classes that take it.
"""
