"""Comparisons of losses, optimizers, schedules: protocol, runs, statistics, report."""

from descent.studies.comparison import compare
from descent.studies.report.write import StudyResult

__all__ = ["StudyResult", "compare"]
