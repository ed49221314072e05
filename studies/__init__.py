"""Comparisons of losses, optimizers, schedules: protocol, runs, statistics, report."""

from studies.comparison import StudyResult, compare

__all__ = ["StudyResult", "compare"]
