"""What every style is put to: callbacks, commands and planted faults. Each returns `works`, or a line that says why not."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything

from callbacks import (
    BlackBox,
    Diagnostics,
    DurableCheckpoint,
    ExactResume,
    GradientNorm,
    LearningCurves,
    Preflight,
)
from callbacks.checkpointing.difference import differences, meaningful
from callbacks.learning_rate.passes import Passes
from callbacks.learning_rate.suggestions import spaced_rates
from callbacks.non_finite.black_box import NonFiniteError
from callbacks.reporting.progress import EpochLines
from descent.commands.verify_resume import differing_rows
from descent.profiling.measurement import time_steps
from foundation.errors import UserError
from tests.anyone.running import Keep, Plant, fit, given, trainer_in
from tests.anyone.styles import Style

WORKS = "works"


def same_bits(one: LightningModule, other: LightningModule) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def callbacks(style: Style, folder: Path) -> str:
    """Fit with all callbacks: the same bits as without."""
    watching = [GradientNorm(by_layer=True), Diagnostics(every_n_steps=2), BlackBox(activations=True)]
    saver = DurableCheckpoint(monitor=None, every_n_train_steps=2)
    plain = fit(style, folder / "plain", [ExactResume()])
    every = [ExactResume(), *watching, LearningCurves(), Preflight(), EpochLines(), saver]
    watched = fit(style, folder / "watched", every, enable_progress_bar=True)
    assert same_bits(plain, watched)
    assert not any(layer._forward_hooks for layer in watched.modules())
    if style.trains:
        assert (folder / "watched/diagnostics.html").exists()
    return WORKS if style.trains else "works; the module has no optimizer, and a line says that nothing is measured"


def _resumed(style: Style, folder: Path, choose: Callable[[list[Path]], Path]) -> list[str]:
    """Resume from one checkpoint; return the warnings. Everything must be as without the interruption."""

    def run(name: str, seed: int, resume: Path | None = None) -> Any:
        (folder / name).mkdir()
        saver = Keep(monitor=None, every_n_train_steps=1)
        fit(style, folder / name, [ExactResume(seed=5), saver], seed=seed, resume=resume)
        return torch.load(folder / name / "checkpoints" / "last.ckpt", weights_only=True)

    whole = run("whole", seed=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resumed = run("resumed", seed=99, resume=choose(sorted((folder / "whole").glob("*.ckpt"))))
    said = [str(each.message) for each in caught]
    found = meaningful(differences(whole, resumed))
    rows = differing_rows(*(folder / name / "metrics.csv" for name in ("whole", "resumed")))
    rows = [row for row in rows if not row.endswith(", None")]  # logged before the interruption
    if any("which no checkpoint holds" in line for line in said):
        return said
    assert not found, found[:3]
    assert not rows, rows[:3]
    return said


def resume(style: Style, folder: Path) -> str:
    """Resume at the end of an epoch: the same bits, and the same logged values."""
    _resumed(style, folder, lambda files: next(file for file in files if "-end-" in file.name))
    return WORKS


def resume_mid_epoch(style: Style, folder: Path) -> str:
    """The same in the middle of an epoch."""
    said = _resumed(style, folder, lambda files: [file for file in files if "-middle-" in file.name][1])
    if any("no positions to continue from" in line for line in said):
        return "works if the data yields the same samples again; a warning says so"
    if any("which no checkpoint holds" in line for line in said):
        return "weights are exact; a warning says that the kept outputs are not in the checkpoint"
    return WORKS


def _data(style: Style) -> Any:
    arguments = given(style)
    return arguments.get("datamodule", arguments.get("train_dataloaders"))


def search(style: Style, folder: Path) -> str:
    """Search a learning rate: the run's world, a bounded number of batches, nothing changed."""
    seed_everything(1, verbose=False)
    module = style.module()
    settings = Passes(module, _data(style), 0, 0, trainer_in(folder), {})
    if not style.trains:
        with pytest.raises(UserError, match="has no optimizer"):
            settings.sweep(spaced_rates(1e-5, 1e-3, 20, "exponential"), 0)
        return "the module has no optimizer, which a line says"
    sweep = settings.sweep(spaced_rates(1e-5, 1e-3, 20, "exponential"), 0)
    assert sweep.steps == 20 or sweep.diverged
    assert len(sweep.losses) >= 10
    return WORKS


def profile(style: Style, folder: Path) -> str:
    """Time the parts of a step."""
    seed_everything(1, verbose=False)
    timing = time_steps(style.module(), _data(style), trainer_in(folder), 3, 1.0)
    assert timing.steps >= 3
    assert timing.samples == 4
    return WORKS


def _planted(kind: str) -> Callable[[Style, Path], str]:
    def operation(style: Style, folder: Path) -> str:
        place = style.place
        if not style.trains:
            with pytest.warns(UserWarning, match="BlackBox checks nothing"):
                fit(style, folder, [BlackBox()], max_epochs=1)
            return "the module has no optimizer, which a line says"
        with pytest.raises(NonFiniteError) as caught:
            fit(style, folder, [Plant(place, kind), ExactResume(), BlackBox()], max_epochs=1, limit_val_batches=0)
        said = str(caught.value)
        expected = {
            "forward": rf"NaN first in the output of {place} \(",
            "backward": rf"NaN first in the gradient from the backward of (what follows )?{place}[.,]",
            "parameter": rf"NaN in the weights {place}\.",
        }[kind]
        assert re.search(expected, said), said
        return WORKS

    operation.__doc__ = f"Plant a NaN ({kind}): its module and step are named."
    return operation


OPERATIONS: dict[str, Callable[[Style, Path], str]] = {
    "fit with all callbacks": callbacks,
    "resume": resume,
    "resume within an epoch": resume_mid_epoch,
    "find-lr": search,
    "profile": profile,
    "NaN in the forward pass": _planted("forward"),
    "NaN in the backward pass": _planted("backward"),
    "NaN in a parameter": _planted("parameter"),
}
