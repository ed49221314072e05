"""What is typed with `--ckpt_path` is applied or refused, in a line; never ignored."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import cli
from callbacks.checkpointing.reading import read_checkpoint
from descent.runs.resumed_config import changes
from foundation.errors import UserError
from tests.descent.helpers import SHORT, run

RUN = Path("runs/quickstart/0")
CONFIG = RUN / "config.yaml"
LAST = RUN / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run([*SHORT, f"--trainer.default_root_dir={folder}/runs"])
    return folder


@pytest.fixture
def stopped(_whole: Path) -> Path:
    shutil.copytree(_whole / "runs", "runs")
    CONFIG.write_text(CONFIG.read_text().replace(str(_whole / "runs"), "runs"))
    return RUN


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error of a resume that must leave the run as it was."""
    before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file() and "events" not in path.name}
    with pytest.raises(SystemExit) as ended:
        cli.main(["fit", "--ckpt_path", str(RUN), "--trainer.max_epochs=3", *words])
    assert ended.value.code == 2
    assert {path: path.read_bytes() for path in before} == before
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_rate_decay_and_other_settings_are_applied(
    stopped: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lightning.pytorch.utilities.rank_zero")
    settings = ["--model.optimizer.lr=0.5", "--model.optimizer.weight_decay=0.9", "--model.scheduler=null"]
    done = run(["fit", "--ckpt_path", str(stopped), "--trainer.max_epochs=3", *settings, "--data.batch_size=32"])
    group = done.trainer.optimizers[0].param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.9)
    arguments = yaml.safe_load(CONFIG.read_text())["model"]["init_args"]
    assert arguments["scheduler"] is None
    assert arguments["optimizer"]["init_args"]["lr"] == 0.5
    said = capsys.readouterr().err + caplog.text
    for line in (
        "Resumed with lr 0.001 → 0.5 (AdamW).",
        "Resumed with weight_decay 0.01 → 0.9 (AdamW).",
        "Resumed with another schedule: Warmup(Cosine) → a constant learning rate.",
        "The learning rate of step 6 goes from 0 to 0.5.",
        "Resumed with data.batch_size 64 → 32.",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--model.optimizer=optimizers/sgd.yaml"],
            r"was trained with AdamW, this run has SGD.*--model\.weights runs/",
        ),
        (["--model.optimizer.amsgrad=true"], r"trained with amsgrad False; with True it needs other values"),
        (["--model.parameter_groups=parameter_groups/no_decay.yaml"], "2 groups of tensors"),
        (["--seed_everything=3"], "seed_everything is 3, in the checkpoint's run it was 0: a resumed run keeps its"),
        (["--data=data/cifar10.yaml"], "a resumed run continues in the order of its data"),
    ],
    ids=["optimizer", "amsgrad", "groups", "seed", "data"],
)
def test_refused(words: list[str], message: str, stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import re

    assert re.search(message, refused(words, capsys))


def test_a_new_run_from_the_weights_and_its_resume_without_the_file(stopped: Path) -> None:
    shutil.move(str(stopped / "checkpoints" / "best.ckpt"), "start.ckpt")
    new = run([*SHORT, "--model.weights=start.ckpt", "--model.optimizer=optimizers/sgd.yaml", "--model.optimizer.lr=0"])
    assert new.run.folder == Path("runs/quickstart/1")
    before, after = (read_checkpoint(path)["state_dict"] for path in (Path("start.ckpt"), new.run.checkpoint("last")))
    assert all(torch.equal(after[name], value) for name, value in before.items() if name.endswith(("weight", "bias")))
    Path("start.ckpt").unlink()
    again = run(["fit", "--ckpt_path", str(new.run.folder), "--trainer.max_epochs=3"])
    assert again.trainer.global_step == 9


def test_a_checkpoint_of_an_earlier_version() -> None:
    """It describes no optimizers, so that only an unchanged optimizer is known to be right."""
    config: dict[str, Any] = {"model": {"init_args": {"optimizer": {"init_args": {"lr": 0.1}}, "channels_last": True}}}
    checkpoint = {"descent": {"config": yaml.safe_dump(config)}}
    same = yaml.safe_dump(config)
    assert changes(checkpoint, same, LAST) == []
    assert changes(checkpoint, same.replace("true", "false"), LAST) == [
        "Resumed with model.channels_last True → False."
    ]
    with pytest.raises(
        UserError, match=r"model\.optimizer\.lr is 0\.2, .* it was 0\.1: the checkpoint is of an earlier"
    ):
        changes(checkpoint, same.replace("0.1", "0.2"), LAST)
    assert changes(checkpoint | {"optimizers": []}, same.replace("0.1", "0.2"), LAST) == []
