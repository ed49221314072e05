"""A private part of Optuna."""

import optuna


def record_heartbeat(trial: optuna.Trial) -> None:
    """Record now that the worker of a trial is alive; only for a storage with a heartbeat.

    `Study.optimize` records heartbeats from a thread, the first one after it has started the trial; the storage's
    method takes the storage's own number of the trial, which is private (`trial.number` counts within a study).
    """
    trial.storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
