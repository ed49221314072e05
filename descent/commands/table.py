"""Every command's name, and the module that runs it."""

TRAINING = ("fit", "validate", "test", "predict", "show_schedule", "find_lr", "profile")
"""Commands that need module, data and trainer: methods of `descent.training.trainer.Trainer`."""

LIGHT = {
    "guide": "descent.commands.guide",
    "compare": "descent.commands.compare",
    "completion": "descent.commands.completion",
    "embed": "descent.commands.embed",
    "evaluate": "descent.commands.evaluate",
    "export": "descent.commands.export",
    "inspect": "descent.commands.inspect",
    "presets": "descent.commands.presets",
    "replay": "descent.commands.replay",
    "show": "descent.commands.show.show",
    "verify_resume": "descent.commands.verify_resume",
}
"""Commands that need no trainer, with the module whose `main(args)` runs them."""

INSTANT = {"guide", "completion", "presets"}
"""Commands that answer without importing torch."""


def commands() -> list[str]:
    """Return every command's name as the user types it."""
    return sorted(name.replace("_", "-") for name in (*TRAINING, *LIGHT) if name != "show_schedule")
