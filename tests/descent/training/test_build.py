"""Module, data and trainer of a config, built without running anything."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

import cli
from datamodules import DigitsDataModule
from descent.presets import shipped
from descent.training.build import build, config_parser, parse_config
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from tests.descent.helpers import SHORT

CPU = "--trainer.accelerator=cpu"
QUICKSTART = ["--config", str(shipped("quickstart.yaml")), CPU]


def test_build_a_shipped_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = Callback()
    options = {"num_sanity_val_steps": 0, "enable_checkpointing": False}
    config = parse_config([*QUICKSTART, "--model.optimizer.lr=0.25", "--trainer.precision=16-mixed"])
    built = build(config, callbacks=[mine], trainer_options=options)
    assert isinstance(built.module, ImageClassifier)
    assert isinstance(built.data, DigitsDataModule)
    assert built.config.model.init_args.optimizer.init_args.lr == 0.25
    assert mine in built.trainer.callbacks  # type: ignore[attr-defined]
    assert built.trainer.num_sanity_val_steps == 0
    assert built.trainer.precision != "16-mixed", "a CPU computes in another precision"
    assert built.trainer.loggers == []
    assert list(tmp_path.iterdir()) == [], "nothing ran, and there is no run folder"


def test_the_seed_decides_the_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        module = build(parse_config([*QUICKSTART, f"--seed_everything={seed}"])).module
        return torch.nn.utils.parameters_to_vector(module.parameters())

    first, same, other = weights(1), weights(1), weights(2)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_build_from_the_text_of_a_runs_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli.main(SHORT)
    text = (tmp_path / "runs/quickstart/0/config.yaml").read_text()
    built = build(parse_config(["--config", text], "fit"), command="fit")
    assert built.trainer.max_epochs == 2
    with pytest.raises(UserError, match="unknown key ckpt_path"):
        parse_config(["--config", text])  # a key of the command that made the run


def test_the_parser_is_built_once() -> None:
    assert config_parser() is config_parser()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--trainer.max_epoch=3", r"^unknown argument --trainer\.max_epoch\. Did you mean --trainer\.max_epochs\?"),
        ("--trainer.max_epochs=many", r"^trainer\.max_epochs must be an integer or null, got many"),
        ("--data.batch_size=-1", "batch_size must be"),
    ],
)
def test_a_mistake_raises_a_user_error(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=message):
        build(parse_config([*QUICKSTART, word]))
    assert capsys.readouterr().err == ""
