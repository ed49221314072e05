"""Data held in memory: base classes of data sources, split, order, normalisation and resume.

Open `data_module.py` first: every data source of this project is a subclass of its `ImageDataModule`. `masks.py` and
`table.py` adapt it to masks and to tables of numbers.
"""
