"""Everything that a config can choose, trained on the phantom GPU: it runs, gives the CPU's values, and does not wait."""

import re
from pathlib import Path

import pytest

from callbacks import compilation
from callbacks.non_finite.finite_run import FiniteRun
from tests.phantom_gpu.counting import WARM, counted
from tests.phantom_gpu.on_device.fits import FITS, LOGGED, STEPS, fit, rows

OWN_NUMBERS = ("gan", "adversarial")  # noise comes from the device's generator
OTHER_KERNELS = ("16",)  # autocast of CUDA and of the CPU choose other dtypes for some operations
RESIZED = ("progressive_resize", "photo")
MEASURES = ("gradient_norm", "gradient norm", "diagnostics")  # a callback that reads values of its own in a logged step


def waits_of(name: str) -> int:
    """Return how often a step of this fit may wait: a black box and a gradient scaler decide before they take it."""
    scaled = 2 if name == "16-mixed gan" else int(name.startswith("16-mixed"))
    return scaled + bool(re.search("black.box", name))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.phantom_gpu(values=True, deferred=True, poisoned=True)
@pytest.mark.parametrize("name", FITS)
def test_a_fit(name: str) -> None:
    with counted() as found:
        ours = rows(fit(FITS[name]).run.folder)
    del found.steps[:-STEPS]  # those of a search before the fit
    assert len(found.steps) == STEPS, "Lightning's loop has changed"
    waits = dict(enumerate(found.waits(), start=WARM))
    usual = waits_of(name)
    assert [waits[step] for step in waits if (step + 1) % LOGGED] == [usual] * 3, found.lines()
    assert waits[STEPS - 1] <= usual + 1 + any(word in name for word in MEASURES), found.lines()
    draws = any(word in name for word in OWN_NUMBERS)
    batches = found.waits("validation")[: -1 if draws else None]  # a GAN saves images after the last
    assert max(batches, default=0) == 0, found.lines("validation")
    if draws:
        return
    theirs = rows(fit(FITS[name], "cpu").run.folder)
    near = {"rel": 0.1, "abs": 0.05} if any(word in name for word in OTHER_KERNELS) else {"rel": 1e-4, "abs": 1e-6}
    if any(word in name for word in RESIZED):  # torchvision resizes uint8 in float32 on a GPU, and rounds
        near = {"rel": 1e-2, "abs": 1e-3}
    assert len(ours) == len(theirs)
    for row, other in zip(ours, theirs, strict=True):
        common = row.keys() & other.keys() if "16-mixed" in name else other.keys()  # a scaler adds columns of its own
        assert {"epoch", "step"} < common
        assert {key: row[key] for key in common} == pytest.approx(
            {key: other[key] for key in common}, nan_ok=True, **near
        )


@pytest.mark.phantom_gpu
@pytest.mark.parametrize("name", ["task quickstart", "task gan"])
def test_a_compiled_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by torch.compile, and run as it was traced: inductor would need Triton. Nothing is computed."""
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    monkeypatch.setattr(FiniteRun, "on_train_epoch_end", lambda *_: None)
    monkeypatch.setattr(FiniteRun, "on_fit_end", lambda *_: None)
    with counted() as found:
        run = fit(FITS[name], "gpu", "--compile=true", "--preflight=false")
    waits = dict(enumerate(found.waits(), start=WARM))
    assert run.trainer.global_step == STEPS
    assert [waits[step] for step in waits if (step + 1) % LOGGED] == [0, 0, 0], found.lines()
