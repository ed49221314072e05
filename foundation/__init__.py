"""Files, random numbers, hardware and processes: what every other package uses; imports nothing of ours."""
