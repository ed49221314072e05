"""Run the candidates of a study, on one machine or several; open `worker.py` first."""
