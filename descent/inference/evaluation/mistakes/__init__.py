"""Explain a classifier's mistakes: where the network looked, which labels may be wrong. Read `grad_cam.py` first."""
