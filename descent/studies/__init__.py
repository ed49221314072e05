"""Compare candidates (losses, optimizers, schedules, …) fairly: equal tuning, paired seeds, tests, a report.

`comparison.py` runs a study from beginning to end; open it first.

The protocol of a study:

1. **Config** (`study_config.py`): a base experiment, the keys that each candidate sets in it, the metric, and the keys
   to tune.
2. **Pilot** (`running/stages.py`): every candidate runs with its default values and a few seeds. This gives the seconds
   per run and the spread between seeds.
3. **Plan** (`running/planner.py`): the number of tuning trials and final runs that the budget allows, and the smallest
   difference that they can detect.
4. **Rounds** (`running/rounds.py`): in each one, every candidate gets the same number of tuning trials at points around
   its own default (`running/search.py`); the trial with the best validation score gives its values. With them it trains
   with new seeds, the same for all candidates, so that runs with the same seed are pairs. Every round has other points,
   seeds and another validation split; with `tuning: once` the first round's values are repeated.
5. **Looks** (`running/decisions.py`, `statistics/sequential_test.py`): after some rounds, each pair is decided (better,
   practically equal) or undecided. Candidates that are decided stop.
6. **Report** (`report/`): verdict, intervals, figures, tables.

Workers (`running/worker.py`) take runs from a database (`running/ledger.py`), so that a study can be interrupted,
continued, and shared by several processes or machines.
"""
