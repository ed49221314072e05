"""The LightningCLI, the Trainer and what is around them; open `command_line.py` first."""
