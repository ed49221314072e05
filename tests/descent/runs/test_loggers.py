"""A run in TensorBoard, read from its server and shown in a browser."""

import html
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cli import main
from descent.runs.saved_config import settings


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("board")
    words = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=4", "--trainer.log_every_n_steps=2"]
    words += ["--trainer.accelerator=cpu", "--model.network.width=4", f"--trainer.default_root_dir={root}"]
    words += ["--trainer.callbacks+=callbacks/diagnostics.yaml", "--trainer.callbacks+=callbacks/gradient_norm.yaml"]
    main(["fit", "-c", "configs/quickstart.yaml", *words])
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(root), "--port", "0", "--load_fast", "false"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:  # the line with the address comes once it listens
        said += line
        if found := re.search(r"http://localhost:\d+/", line):
            break
    assert found is not None, said
    yield found[0]
    process.terminate()
    process.wait()


def ask(address: str, **body: Any) -> Any:
    data = json.dumps(body).encode() if body else None
    asked = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def test_groups_texts_images_histograms(server: str) -> None:
    scalars = ask(f"{server}data/plugin/scalars/tags")["quickstart/0"]
    groups = {tag.partition("/")[0] for tag in scalars}
    layers = ["dead", "grad_norm", "gradient", "mean", "near_zero", "std", "update", "weight_mean", "weight_std"]
    assert sorted(groups) == ["train", "val", *(f"within_{name}" for name in layers)]
    assert {"train/loss", "train/lr"} <= set(scalars)
    assert ask(f"{server}data/plugin/text/tags") == {"quickstart/0": ["config/text_summary"]}
    assert list(ask(f"{server}data/plugin/images/tags")["quickstart/0"]) == ["images/first training batch"]
    assert "weights/network.head.weight" in ask(f"{server}data/plugin/histograms/tags")["quickstart/0"]


def test_settings_are_shown_with_the_final_metrics(server: str, root: Path) -> None:
    run = "quickstart/0"
    asked = {
        "experimentName": "",
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 9,
        "allowedStatuses": ["STATUS_SUCCESS"],
    }
    columns = [{"metric": {"group": "", "tag": tag}} for tag in ("val/loss", "train/loss")]
    (group,) = ask(f"{server}data/plugin/hparams/session_groups", **(asked | {"colParams": columns}))["sessionGroups"]
    set_to = group["hparams"]
    assert (set_to["optimizer"], set_to["lr"], set_to["batch_size"]) == ("AdamW", 0.001, 64)
    assert (set_to["network"], set_to["loss"]) == ("SmallCNN", "CrossEntropyLoss")
    found = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    logged = pd.read_csv(root / run / "metrics.csv")["val/loss"].dropna().iloc[-1]
    assert found["val/loss"] == pytest.approx(logged, rel=1e-5)


def test_the_table_begins_with_what_matters(server: str) -> None:
    experiment = ask(f"{server}data/plugin/hparams/experiment", experimentName="")
    names = [info["name"] for info in experiment["hparamInfos"]]
    assert names[:6] == ["batch_size", "loss", "lr", "network", "optimizer", "scheduler"]


def test_the_config_is_what_differs_from_the_defaults(server: str) -> None:
    (text,) = ask(f"{server}data/plugin/text/text?run=quickstart%2F0&tag=config%2Ftext_summary")
    shown = html.unescape(re.sub(r"<[^>]*>", "", text["text"]))
    config = yaml.safe_load(shown)
    assert config["trainer"]["limit_train_batches"] == 4
    assert "fast_dev_run" not in config["trainer"]
    assert "checkpoint" not in config
    assert "init_args" not in config["model"]["init_args"]["loss"]
    assert config["model"]["init_args"]["network"]["init_args"]["width"] == 4
    assert len(shown.splitlines()) < 100


@pytest.mark.chromium
def test_a_browser_shows_the_run(server: str, tmp_path: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--window-size=1400,4000"]
    flags += ["--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run(["chromium", *flags, f"{server}#timeseries"], capture_output=True, text=True, timeout=180)
    shown = set(re.sub(r"<(script|style).*?</\1>|<[^>]*>", "\n", done.stdout, flags=re.DOTALL).split())
    assert {"quickstart/0", "within_grad_norm", "train", "val", "images"} <= shown


def test_settings_skip_what_is_not_a_part() -> None:
    assert settings({"model": {"init_args": {"network": "x.yaml", "loss": None}}, "seed_everything": 3}) == {"seed": 3}
