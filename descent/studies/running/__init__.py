"""Run the tuning trials, pilot runs and final runs of a study, on one machine or several; open `worker.py` first."""
