"""Compare candidates (losses, optimizers, schedules, …) fairly: equal tuning, paired seeds, tests, a report.

`comparison.py` runs a study from beginning to end; open it first.

The protocol of a study:

1. **Config** (`study_config.py`): a base experiment, the keys that each candidate sets in it, the metric, and the keys
   to tune.
2. **Pilot** (`running/stages.py`): every candidate runs with its default values and a few seeds. This gives the seconds
   per run and the spread between seeds.
3. **Plan** (`running/planner.py`): the number of tuning trials and final runs that the budget allows, and the smallest
   difference that they can detect.
4. **Tuning** (`running/search.py`): every candidate gets the same number of tuning trials at points around its own
   default. The trial with the best validation score gives its values.
5. **Final runs**: every candidate trains with its best values and several new seeds. The seeds are the same for all
   candidates, so that runs with the same seed are pairs: same initial weights, same batches, same data.
6. **Report** (`report/`, `statistics/`): paired t-tests with Holm's correction, intervals, verdict, figures, tables.

Workers (`running/worker.py`) take runs from a database (`running/ledger.py`), so that a study can be interrupted,
continued, and shared by several processes or machines.
"""
