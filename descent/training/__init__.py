"""From a config to a run: LightningCLI, parser, Trainer, processes.

Open `command_line.py` first; `build.py` builds module, data and trainer without running anything.
"""
