"""Comparisons of losses, optimizers, schedules: protocol, runs, statistics, report."""
