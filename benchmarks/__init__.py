"""Measure the project's speed, memory and robustness against its peers; each benchmark is `python -m benchmarks.NAME`.

What was measured is in `results/`, with the machine in the last column of each CSV; `docs/speed.md` explains the main
numbers. A benchmark states its question and its method in its first docstring (`--help` prints it). What they share is
in `common/`; open `common/paired.py` first. Nothing else in the repository imports this package.

| module | question |
| --- | --- |
| `allocator` | How much does the tuned memory allocator speed up training? |
| `checkpoints` | How long does a save interrupt training? `checkpoints.kills`: do killed runs resume exactly? |
| `data` | How fast are images decoded, cached and augmented? |
| `gpu` | Is everything right that only a real GPU can show? |
| `growth` | How do time and memory grow with batch size, width, weights and number of images? |
| `inside` | What do diagnostics cost per training step? |
| `lightning_tests` | Which of Lightning's own tests fail with the classes of this project in the place of its own? |
| `losses` | How fast are the losses? |
| `lr_finder` | Is the suggested learning rate near the best one? |
| `optimizers` | How long does an optimizer step take? |
| `overhead` | What does a training step cost beside the arithmetic? |
| `photos` | How fast are augmentations of photographs, against torchvision on single images? |
| `predict` | How much of the network's throughput does `descent predict` reach? |
| `scaling` | How efficient are two processes? |
| `small_folders` | How accurate is a network trained on folders of few images? |
| `speedrun` | How long does the accuracy of a record recipe take? `speedrun.levers`: what does each part bring? |
| `studies` | How often does `descent compare` err, and at which cost? `studies.calibrate`: the levels of its looks |
| `startup` | How long does it take to the first training step? |
"""
