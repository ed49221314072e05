"""`descent inspect` on a run, on a file of another program, and on files that are damaged or contain code."""

import json
from importlib import metadata
from pathlib import Path

import pytest
import torch

import cli
from tests.callbacks.checkpointing.test_reading import Payload


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    words = ["--config", "configs/quickstart.yaml", "--model.network.width", "4", "--trainer.max_epochs", "1"]
    cli.main(["fit", *words, "--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(root)])
    return root / "quickstart" / "0"


def test_prints_what_the_checkpoint_contains(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["inspect", str(run)])
    said = capsys.readouterr().out
    for words in (
        f"file        {run}/checkpoints/best.ckpt",
        "and size are those it was saved with",
        "20 steps, epoch 1, 20 of 20 batches done",
        "val/loss ",
        "best        val/loss (min): best.ckpt ",
        f"torch {metadata.version('torch')}",
        "cpu, 1 process, precision ",
        "optimizer, schedules, callbacks, loops, sums",
        "position in the data (DigitsDataModule)",
        "tensors, ",
        "network.",
    ):
        assert words in said


def test_prints_the_config(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["inspect", str(run), "--config"])
    assert capsys.readouterr().out.strip() == (run / "config.yaml").read_text().strip()


def test_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["inspect", str(run / "checkpoints/last.ckpt"), "--json"])
    about = json.loads(capsys.readouterr().out)
    assert (about["epoch"], about["global_step"], about["monitor"]) == (0, 20, "val/loss")
    assert all(name.startswith("network.") for name in about["layers"])


def test_a_file_of_another_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {f"layer{n}": torch.zeros(2, 3) for n in range(40)}
    torch.save({"state_dict": weights}, tmp_path / "weights.pt")
    cli.main(["inspect", str(tmp_path / "weights.pt")])
    said = capsys.readouterr().out
    assert "not written by descent and carries no hash" in said
    assert "40 tensors, 240 values" in said
    assert "… and 10 more: --layers" in said
    cli.main(["inspect", str(tmp_path / "weights.pt"), "--layers"])
    assert "layer39  (2, 3)" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "message"), [("cut", "is damaged"), ("code", "is refused"), ("gone", "not found")])
def test_a_bad_file_gives_a_one_line_error(
    tmp_path: Path, kind: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.ckpt"
    if kind != "gone":
        torch.save({"a": Payload(tmp_path / "ran")}, path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SystemExit) as caught:
        cli.main(["inspect", str(path)])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "ran").exists()
