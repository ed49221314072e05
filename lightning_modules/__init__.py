"""LightningModules by kind of task, and the networks, losses, optimizers and schedulers that go into them."""
