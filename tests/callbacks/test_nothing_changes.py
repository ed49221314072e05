"""A run with all diagnostic callbacks and the finder ends with the same bits as a plain run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callbacks import BlackBox, Diagnostics, GradientNorm, LRFinder
from tests.callbacks.inside_case import Foreign, classifier, fit, half_precision, same_bits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CASES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "scaler": {"plugins": half_precision},
    "accumulation, norm": {"accumulate_grad_batches": 2, "gradient_clip_val": 0.4},
    "scaler, accumulation": {"plugins": half_precision, "accumulate_grad_batches": 2},
}


RUNS = [(name, classifier) for name in CASES] + [(name, Foreign) for name in ("accumulation, norm", "scaler")]


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_the_same_bits_with_everything_on(tmp_path: Path, name: str, kind: Callable[[], Any]) -> None:
    """Dropout, batch norm and shuffled, augmented data make every additional random number visible."""

    def made() -> dict[str, Any]:
        return {key: value() if callable(value) else value for key, value in CASES[name].items()}

    def run(folder: Path, *callbacks: Any) -> Any:
        return fit(folder, callbacks=callbacks, batch_size=64, make=kind, **made())

    finder = LRFinder(apply=False, steps=20, repeats=1, low=1e-3, high=30.0)
    plain = run(tmp_path / "plain")
    watched = run(
        tmp_path / "watched",
        finder,
        GradientNorm(by_layer=True),
        Diagnostics(every_n_steps=1),
        BlackBox(activations=True),
    )
    assert finder.search is not None
    assert same_bits(plain, watched)
    assert not any(layer._forward_hooks for layer in watched.modules())
    assert (tmp_path / "watched/diagnostics.html").exists()
