"""`descent replay` of the step at which a run stopped because of a NaN."""

from pathlib import Path

import pytest
import torch

import cli

NETWORK = """
import torch
from torch import nn


class Breaks(nn.Module):
    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(64, 32), nn.Dropout(0.5), nn.Linear(32, num_classes)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        x = self.drop(self.first(x.flatten(1)))
        if self.training:
            self.seen += 1
            if self.seen == 5:
                x = self.drop((x - 1e3).log())
        return self.last(x)
"""

FOUND = "NaN first in the input of network.drop (Dropout), computed before it outside of any layer"


def test_run_and_replay_also_of_a_gpu_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "breaking_network.py").write_text(NETWORK)
    words = ["--trainer.accelerator", "cpu", "--trainer.callbacks", "callbacks/black_box.yaml"]
    words += ["--trainer.max_epochs", "1", "--model.network", "breaking_network.Breaks"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["fit", "-c", "configs/quickstart.yaml", *words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"step 5, epoch 1: {FOUND}" in error
    file = tmp_path / "runs/quickstart/0/black_box.pt"
    assert str(file.relative_to(tmp_path)) in error
    cli.main(["replay", str(file), "--accelerator", "cpu"])
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        f"saved     {FOUND}",
        f"replayed  {FOUND}",
    ]
    on_the_gpu = torch.load(file, weights_only=True)
    on_the_gpu["config"] = on_the_gpu["config"].replace("accelerator: cpu", "accelerator: gpu")
    on_the_gpu["config"] = on_the_gpu["config"].replace("devices: auto", "devices: 4")
    on_the_gpu["random"] = [{**state, "cuda": 4 * [state["torch"]]} for state in on_the_gpu["random"]]
    torch.save(on_the_gpu | {"precision": "16-mixed"}, file)
    cli.main(["replay", str(file), "--accelerator", "cpu"])
    shown = capsys.readouterr()
    assert "precision: 16-mixed needs a GPU" in shown.err + shown.out
    assert shown.out.splitlines()[-1] == f"replayed  {FOUND}"


def test_a_missing_file_gives_a_one_line_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["replay", str(tmp_path / "none.pt")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: no black box at")
