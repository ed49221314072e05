"""Files, random numbers, hardware and processes: what every other package uses; open `files.py` first."""
