"""find-lr and profile, which train copies of a run, work with every optimizer that is shipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from descent.presets import names
from tests.fuzz.process import in_a_fork
from tests.fuzz.warm import warmed

SHORT = {
    "find-lr": ["--steps=50", "--repeats=1", "--low=1e-5", "--method=nine_tenths"],
    "profile": ["--steps=3", "--seconds=0.1", "--data.batch_size=16", "--tries=false"],
}
SMALL = [
    "--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false", "--model.scheduler=schedulers/constant.yaml",  # schedule-free takes no other
]  # fmt: skip
OPTIMIZERS = [name for name in names() if name.startswith("optimizers/")]


@pytest.fixture(scope="module", autouse=True)
def _parsers_are_built_once() -> Iterator[None]:
    with warmed():
        yield


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("command", SHORT)
def test_an_optimizer(command: str, optimizer: str, tmp_path: Path) -> None:
    words = [command, "-c", "configs/quickstart.yaml", *SMALL, *SHORT[command], f"--model.optimizer={optimizer}"]
    if (command, optimizer) == ("find-lr", "optimizers/adafactor.yaml"):
        words.remove("--method=nine_tenths")  # it bounds its own steps: no rate is too high for the curve to show
    code, said = in_a_fork(words, tmp_path)
    assert code == 0, said
