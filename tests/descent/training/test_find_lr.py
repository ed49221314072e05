"""`descent find-lr` writes a config for `fit -c`, from a new config and from that of a run."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

import cli
from datamodules import DigitsDataModule
from descent.training.trainer import Trainer
from foundation.errors import UserError
from tests.callbacks.inside_case import Foreign

ARGUMENTS = ["--trainer.accelerator", "cpu", "--steps", "60", "--repeats", "1", "--low", "1e-4", "--high", "30"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_fit_uses_the_found_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["find-lr", "-c", "configs/quickstart.yaml", *ARGUMENTS])
    folder = tmp_path / "runs/quickstart/0"
    assert {file.name for file in folder.iterdir()} >= {
        "lr_finder.png",
        "lr_finder.csv",
        "lr_finder.json",
        "lr_finder.yaml",
    }
    rate = yaml.safe_load((folder / "lr_finder.yaml").read_text())["model"]["init_args"]["optimizer"]["init_args"]["lr"]
    assert 1e-4 < rate < 0.5
    said = capsys.readouterr().out
    assert "use it         descent fit -c quickstart.yaml -c runs/quickstart/0/lr_finder.yaml\n" in said
    titles = [line.partition("  ")[0] for line in said.splitlines() if "  " in line]
    assert {"learning rate", "figure", "use it"} <= set(titles)
    assert all(line[13:15] == "  " for line in said.splitlines() if line.startswith(tuple(titles[-4:])))
    short = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    run = cli.main(["fit", "-c", "configs/quickstart.yaml", "-c", str(folder / "lr_finder.yaml"), *short])
    assert run.trainer.optimizers[0].param_groups[0]["initial_lr"] == rate
    assert type(run.model.scheduler).__name__ == "Warmup"  # the rest of the config is as it was
    # The config of a run has keys (ckpt_path, weights_only) that the command must accept.
    quick = [*ARGUMENTS, "--method", "nine_tenths", "--data.batch_size", "16"]
    cli.main(["find-lr", "-c", str(run.run.config), *quick])
    cli.main(["find-lr", "--ckpt_path", str(run.run.folder), *quick])


def test_confirm_says_one_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["find-lr", "-c", "configs/quickstart.yaml", *ARGUMENTS, "--confirm", "true", "--confirm_steps", "20"])
    said = capsys.readouterr().out
    folder = tmp_path / "runs/quickstart/0"
    found = json.loads((folder / "lr_finder.json").read_text())
    text = (folder / "lr_finder.yaml").read_text()
    assert yaml.safe_load(text)["model"]["init_args"]["optimizer"]["init_args"]["lr"] == found["pick"]
    assert f"learning rate  {found['pick']:.3g} ({found['basis']})" in said
    assert f"# Learning rate {found['pick']:.3g}: {found['basis']}." in text
    assert found["run_steps"] == 15 * 20  # epochs of quickstart.yaml, batches of 64 in each
    assert found["run_steps_known"]


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["find-lr", "-c", "configs/quickstart.yaml", *ARGUMENTS[:-4], "--low", "1e-12", "--high", "1e-10"])
    assert ended.value.code == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert "high" in error[0]


def test_a_checkpoint_of_another_network_is_an_error(tmp_path: Path) -> None:
    """Also for a module of another library, whose loading Descent does not check."""
    trained, other = Foreign(), Foreign()
    other.net.head = nn.Linear(16, 7)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "other.ckpt")
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    with pytest.raises(UserError, match=r"other\.ckpt is a checkpoint of another network than Foreign's: .*net\.head"):
        trainer.find_lr(other, DigitsDataModule(), ckpt_path=str(tmp_path / "other.ckpt"))
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(UserError, match=r"text\.ckpt"):
        trainer.find_lr(other, DigitsDataModule(), ckpt_path=str(tmp_path / "text.ckpt"))
