"""Images in a folder: found, decoded once, cached; open `data_module.py` first."""
