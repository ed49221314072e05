"""What the command line is made of: parser, trainer, run folders. Imported by `cli.py`, never by the packages."""
