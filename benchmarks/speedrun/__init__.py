"""Time to accuracy on CIFAR-10; open `__main__.py` first, `levers.py` measures each part of the configuration."""
