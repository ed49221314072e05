"""Shared by the benchmarks: paired ratios, options, CSV files, processes, memory; open `paired.py` first."""
