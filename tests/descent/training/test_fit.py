"""The training commands as a user types them: the run's folder, resuming, which setting overrides which."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import history
from tests.descent.helpers import SHORT, run

ROOT = Path(__file__).parents[3]


@pytest.mark.curves
def test_files_and_output_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    done = run([*SHORT, "--trainer.precision=16-mixed"])
    folder = Path("runs/quickstart/0")
    assert done.run.folder == folder
    assert sorted(file.name for file in (folder / "checkpoints").iterdir() if file.stem != "previous") == [
        "best.ckpt",
        "last.ckpt",
    ]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["seed_everything"] == 0
    assert config["trainer"]["precision"] == str(done.trainer.precision) != "16-mixed"
    assert config["model"]["init_args"]["optimizer"]["class_path"] == "torch.optim.AdamW"
    assert config["model"]["init_args"]["optimizer"]["init_args"]["weight_decay"] == 0.01
    table = history(folder)
    assert len(table) == 2
    assert table[["train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr"]].notna().all(axis=None)
    assert (folder / "figures" / "learning_curves.png").stat().st_size > 10_000
    said = capsys.readouterr()
    assert "precision: 16-mixed needs a GPU" in said.err
    for line in ("validation  accuracy", "run folder  runs/quickstart/0", "descent test --ckpt_path runs/quickstart/0"):
        assert line in said.out
    assert "  2/2 " in said.out


def test_tensorboard_shows_curves_in_one_chart_and_the_config() -> None:
    run(SHORT)
    events = EventAccumulator("runs/quickstart/0").Reload()
    assert {"train/loss", "val/loss", "train/accuracy", "val/accuracy", "train/lr"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("train/lr")) == 6
    tags = events.Tags()["tensors"]
    assert "custom_scalars__config__" in tags
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "class_path: lightning_modules.ImageClassifier" in text


def test_every_run_gets_its_own_folder() -> None:
    first, second = run(SHORT), run(SHORT)
    assert (first.run.folder, second.run.folder) == (Path("runs/quickstart/0"), Path("runs/quickstart/1"))
    third = run([*SHORT, "--experiment=other"])
    assert third.run.folder == Path("runs/other/0")


def test_the_same_seed_gives_the_same_run() -> None:
    runs = [
        run([*SHORT, f"--data.num_workers={workers}", f"--seed_everything={s}"])
        for workers, s in ((0, 1), (2, 1), (0, 2))
    ]
    weights = [torch.cat([p.flatten() for p in done.model.parameters()]) for done in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_resumed_run_gives_identical_weights(capsys: pytest.CaptureFixture[str]) -> None:
    whole = run([*SHORT, "--trainer.max_epochs=4", "--model.scheduler=schedulers/constant.yaml"])
    run([*SHORT, "--trainer.default_root_dir=cut", "--model.scheduler=schedulers/constant.yaml"])
    resumed = run(["fit", "--ckpt_path=cut/quickstart/0", "--trainer.max_epochs=4"])
    assert resumed.run.folder.resolve() == Path("cut/quickstart/0").resolve()
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert list(history("cut/quickstart/0").index) == [0, 1, 2, 3]
    again = run(["fit", "-c", "cut/quickstart/0/config.yaml", "--ckpt_path=last", "--trainer.max_epochs=5"])
    assert again.trainer.current_epoch == 5
    assert len(history("cut/quickstart/0")) == 5
    assert "complete" not in capsys.readouterr().out
    files = sorted(Path("cut/quickstart/0").iterdir())
    run(["fit", "--ckpt_path=cut/quickstart/0", "--trainer.max_epochs=5"])
    said = capsys.readouterr().out
    assert "The run is complete: it had reached its end before" in said
    assert "validation" not in said.partition("The run is complete")[2], "nothing was validated"
    assert sorted(Path("cut/quickstart/0").iterdir()) == files, "no empty file for TensorBoard"


def test_an_argument_overrides_the_config_of_the_checkpoint() -> None:
    run(SHORT)
    resumed = run(["fit", "--ckpt_path=runs/quickstart/0", "--trainer.max_epochs=3", "--data.batch_size=16"])
    assert resumed.datamodule.batch_size == 16
    assert resumed.config.fit.model.init_args.optimizer.init_args.lr == 1e-3


def test_validate_test_and_predict_with_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    done = run(SHORT)
    validated = run(["validate", "--ckpt_path=runs/quickstart/0/checkpoints/last.ckpt"])
    metrics = validated.trainer.callback_metrics
    assert metrics["val/loss"].item() == pytest.approx(done.trainer.callback_metrics["val/loss"].item(), rel=1e-6)
    tested = run(["test", "--ckpt_path=runs/quickstart"])
    assert "test/accuracy" in tested.trainer.callback_metrics
    predicted = run(["predict", "--ckpt_path=runs/quickstart/0"])
    rows = Path("runs/quickstart/0/predictions.csv").read_text().splitlines()
    assert rows[0] == "index,class,probability,runner_up,runner_up_probability"
    assert len(rows) - 1 == len(predicted.datamodule.predict_dataloader().dataset)


def test_an_untrained_network_gives_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    run(["test", *SHORT[1:]])
    assert "test: no --ckpt_path is given, so the network has its initial, untrained weights" in capsys.readouterr().err


def test_the_printed_config_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([*SHORT, "--print_config"])
    assert ended.value.code == 0
    Path("printed.yaml").write_text(capsys.readouterr().out)
    done = run(["fit", "-c", "printed.yaml"])
    assert done.trainer.global_step == 6


def test_a_class_in_the_working_folder_and_no_colours_in_a_pipe() -> None:
    Path("own_parts.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, num_classes: int, in_channels: int, hidden: int = 16) -> None:\n"
        "        super().__init__()\n"
        "        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, hidden), nn.Linear(hidden, num_classes))\n"
        "    def forward(self, x):\n"
        "        return self.layers(x)\n"
    )
    Path("own.yaml").write_text(
        "model:\n"
        "  init_args:\n"
        "    network: {class_path: own_parts.Net, init_args: {hidden: 8}}\n"
        "    loss: losses/focal.yaml\n"
        "    optimizer: optimizers/sgd_momentum.yaml\n"
        "data: data/digits.yaml\n"
        "trainer: {max_epochs: 1}\n"
    )
    command = [
        sys.executable,
        "-c",
        "import sys; sys.path.pop(0); from cli import main; main()",
        "fit",
        "-c",
        "own.yaml",
    ]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "TERM": "xterm-256color"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "run folder  runs/own/0" in done.stdout
    assert yaml.safe_load(Path("runs/own/0/config.yaml").read_text())["model"]["init_args"]["network"]["init_args"] == {
        "hidden": 8
    }


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_help_fits_on_a_screen(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) is None
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 40
    assert "--ckpt_path" in text
    with pytest.raises(SystemExit):
        run([command, "--help_all"])
    assert "--trainer.gradient_clip_val" in capsys.readouterr().out


def test_the_installed_command_exits_with_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.metadata import entry_points

    (command,) = entry_points(group="console_scripts", name="descent")
    monkeypatch.setattr(sys, "argv", ["descent", *SHORT])
    assert command.load()() is None, "a script exits with what its function returns"
    assert "run folder" in capsys.readouterr().out
