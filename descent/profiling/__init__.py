"""`descent profile`: where the time of a training step goes, and what would make it faster.

Open `profile.py` first. `step_profiler.py` and `measurement.py` time the steps, `peak.py` measures the machine's
peak FLOP/s, `advice.py` looks for changes and tries them.
"""
