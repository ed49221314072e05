"""Commands on the phantom GPU: exact resume, checkpoints that change machines, evaluate, predict, export, profile, replay."""

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from descent.commands import verify_resume
from tests.phantom_gpu.on_device.fits import CONFIGS, SHORT
from tests.phantom_gpu.on_device.forks import Forked, run

pytestmark = pytest.mark.phantom_gpu(values=True)
QUICK = f"{CONFIGS}/quickstart.yaml"
OWN = ["--trainer.enable_progress_bar=false"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fit(accelerator: str, first: str, *words: str, devices: int = 1) -> str:
    """Train shortly with a config or from a checkpoint."""
    return run("fit", first, *SHORT, f"--trainer.accelerator={accelerator}", *OWN, *words, devices=devices)


@pytest.mark.parametrize("words", [[], ["--trainer.precision=16-mixed"], ["--trainer.callbacks+=callbacks/ema.yaml"]])
def test_a_killed_run_resumes_bit_by_bit(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verify_resume, "start", lambda words: Forked(["fit", *words]))
    short = ["--trainer.limit_train_batches=8", "--data.batch_size=16", "--trainer.limit_val_batches=1"]
    with pytest.raises(SystemExit) as ended:
        verify_resume.main(["-c", QUICK, "--trainer.accelerator=gpu", *short, *words])
    said = capsys.readouterr().out
    assert ended.value.code == 0, said
    assert "the same, bit by bit." in said


@pytest.mark.parametrize(("first", "second"), [("gpu", "cpu"), ("cpu", "gpu")])
def test_a_run_moves_between_machines_with_and_without_a_gpu(first: str, second: str) -> None:
    count = {"gpu": 1, "cpu": 0}
    fit(first, f"--config={QUICK}", devices=count[first])
    run("inspect", "runs/quickstart/0", devices=count[second])
    scores = []
    for where in (first, second):
        words = ["evaluate", "--ckpt_path=runs/quickstart/0", "--json", f"--trainer.accelerator={where}"]
        said = run(*words, devices=count[where])
        scores.append(json.loads(said[said.index("{") : said.rindex("}") + 1]))
    assert scores[0]["accuracy"] == scores[1]["accuracy"]
    fit(second, "--ckpt_path=runs/quickstart/0", "--trainer.max_epochs=2", devices=count[second])


class Bursts(nn.Module):
    """Divide by zero at the fifth call in training."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.register_buffer("calls", torch.zeros(()))
        self.calls: Tensor

    def forward(self, images: Tensor) -> Tensor:
        self.calls += self.training
        return torch.where(self.calls == 5, torch.nan, self.linear(images.flatten(1)))


def test_a_black_box_is_replayed_with_and_without_a_gpu() -> None:
    words = [f"--model.network={__name__}.Bursts", "--trainer.callbacks+=callbacks/black_box.yaml", "--preflight=false"]
    fork = Forked(["fit", "-c", QUICK, *SHORT, "--trainer.accelerator=gpu", *OWN, *words])
    _, said = fork.communicate()
    assert fork.returncode != 0
    assert "descent replay" in said
    for accelerator, devices in (("gpu", 1), ("cpu", 0)):
        lines = run(
            "replay", "runs/quickstart/0/black_box.pt", f"--accelerator={accelerator}", devices=devices
        ).splitlines()
        saved, replayed = (line.split(maxsplit=1)[1] for line in lines if line.startswith(("saved", "replayed")))
        assert saved == replayed


def test_predictions_of_a_gpu_are_those_of_a_cpu() -> None:
    fit("gpu", f"--config={QUICK}")
    tables = []
    for accelerator in ("gpu", "cpu"):
        run("predict", "--ckpt_path=runs/quickstart/0", f"--trainer.accelerator={accelerator}", *OWN)
        with Path("runs/quickstart/0/predictions.csv").open() as file:
            tables.append(list(csv.DictReader(file)))
        Path("runs/quickstart/0/predictions.csv").unlink()
    assert len(tables[0]) == len(tables[1]) > 300
    for ours, theirs in zip(*tables, strict=True):
        for name, text in theirs.items():
            try:
                assert float(ours[name]) == pytest.approx(float(text), rel=1e-3, abs=1e-4)
            except ValueError:
                assert ours[name] == text


def test_a_run_of_a_gpu_is_exported() -> None:
    fit("gpu", f"--config={QUICK}")
    run("export", "--ckpt_path=runs/quickstart/0", "--to=torch")
    assert Path("runs/quickstart/0/model.pt2").is_file()


def test_a_search_and_a_profile_run_on_a_gpu() -> None:
    small = ["--data.batch_size=16", "--data.eval_batch_size=16", "--model.network.width=8"]
    search = ["--steps=40", "--repeats=1", "--low=1e-4", "--json=true", *small]
    found = []
    for accelerator in "gpu", "cpu":  # the range test; short runs on the GPU are a fit of test_fits.py
        said = run("find-lr", "-c", QUICK, f"--trainer.accelerator={accelerator}", "--method=nine_tenths", *search)
        found.append(json.loads(said[said.index("{") : said.rindex("}") + 1])["suggestions"]["nine_tenths"])
    assert found[0] == pytest.approx(found[1], rel=0.1)
    said = run("profile", "-c", QUICK, *small, "--trainer.accelerator=gpu", "--steps=5", "--seconds=1", "--tries=false")
    assert "profile.json" in said
