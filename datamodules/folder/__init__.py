"""Data source for images in class folders, which are decoded once into a memory-mapped cache.

Open `data_module.py` first. Behind it: `split_cache.py` finds or rebuilds the cache of one split, `tree.py` lists its
images, `building.py` fills the cache (`parallel_decoding.py`, `decoding.py`), `cache_file.py` is its format and
`places.py` its location.
"""
