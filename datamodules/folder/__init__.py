"""Data source for images in class folders, which are decoded once into a memory-mapped cache.

Open `data_module.py` first. Behind it: `listing/` finds the images, `split_cache.py` finds or rebuilds the cache of one
split, `building.py` fills it (`parallel_decoding.py`, `decoding.py`), `cache_file.py` is its format and `places.py` its
location. `contents/` divides the images into parts and says how today's differ from a checkpoint's.
"""
