"""Mistakes in the options of every command: misspelt, without a value, with a wrong one, and a forgotten argument.

`verify-resume` is left out: it starts processes, and takes the options of `fit`.
"""

import random

from tests.fuzz.case import VALUES, Case, Start, wrong_word

STUDY, RUN = "configs/studies/quickstart.yaml", "runs/quickstart/0"
SHORT = ("-c", "configs/quickstart.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=1")
LINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "evaluate": ((f"--ckpt_path={RUN}",), ("--ckpt_path", "--images", "--out", "--data.eval_batch_size")),
    "export": ((f"--ckpt_path={RUN}", "--to=torch"), ("--ckpt_path", "--to", "--out", "--images", "--model.network.width")),
    "inspect": ((RUN,), ("--layers", "--config", "--json")),
    "predict": ((f"--ckpt_path={RUN}", "--images=images"), ("--ckpt_path", "--images", "--out", "--data.batch_size")),
    "compare": (
        ("-c", STUDY, "--plan", "--trials=1"),
        (
            "--budget", "--out", "--storage", "--heartbeat", "--seed", "--seeds", "--trials", "--metric", "--tuning",
            "--mode", "--baseline", "--targets", "--threads", "--repeats", "--interval", "--smallest_difference",
            "--trainer.max_epochs", "--data.batch_size", "--model.optimizer.lr", "--search", "--candidates", "--split_key",
        ),
    ),
    "show losses": ((), ("--out",)),
    "show optimizers": ((), ("--out", "--condition", "--steps")),
    "show schedulers": ((), ("--out", "--epochs")),
    "show schedule": (SHORT, ("--out", "--validation", "--model.scheduler", "--trainer.max_steps")),
    "presets": (("losses",), ("--json",)),
    "guide": ((), ("--json", "--markdown")),
    "test": ((f"--ckpt_path={RUN}",), ("--ckpt_path", "--verbose", "--data.batch_size", "--trainer.devices")),
    "validate": ((f"--ckpt_path={RUN}",), ("--ckpt_path", "--trainer.limit_val_batches", "--data.val_share")),
    "fit": ((f"--ckpt_path={RUN}", "--trainer.max_epochs=2"), ("--ckpt_path", "--experiment", "--target", "--compile")),
    "find-lr": (
        (*SHORT, "--steps=20"),
        ("--low", "--high", "--steps", "--mode", "--repeats", "--method", "--optimizer", "--run_steps", "--confirm"),
    ),
    "profile": ((*SHORT, "--steps=3", "--tries=false"), ("--steps", "--seconds", "--tries", "--out", "--json")),
}  # fmt: skip
"""The right words of each command, and options of it."""

FLAGS = ("--json", "--layers", "--config", "--markdown", "--plan")


def option(choose: random.Random, _: Start) -> Case:
    """Return a command with a mistake in one of its options."""
    command = choose.choice(list(LINES))
    right, names = LINES[command]
    words, name = (*command.split(), *right), choose.choice(names)
    key = name.lstrip("-")
    wrong = wrong_word(choose, key.rpartition(".")[2])
    path = f"{key.rpartition('.')[0]}.{wrong}".lstrip(".")
    others = [each.lstrip("-") for each in (*names, "--confirm_steps", "--run_steps", "--optimizer", "--help", "--out")]
    if choose.random() < 0.4 and len(wrong) > 2 and path not in others:
        value = "" if choose.random() < 0.2 else "=1"
        return Case((*words, f"--{path}{value}"), "misspelt", path, key, needs_run=True)
    if choose.random() < 0.15:
        extra = choose.choice(("nosuch", "-x", "--", "ü", "a=b", "model.optimizer.lr=1", "=", "-c", "--nosuch"))
        return Case((*words, extra), "option", needs_run=True)
    if choose.random() < 0.1 and right:
        dropped = choose.randrange(len(right))
        words = (*command.split(), *right[:dropped], *right[dropped + 1 :])
        return Case(words, "option", needs_run=True)
    if name in FLAGS:
        return Case((*words, f"{name}={choose.choice(VALUES)}"), "option", key, needs_run=True)
    given = (name,) if choose.random() < 0.1 else (f"{name}={choose.choice(VALUES)}",)
    return Case((*words, *given), "option", key, needs_run=True)
