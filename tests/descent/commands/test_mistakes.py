"""A user's mistake: exit code 2, and one line that says what was expected, what was found and what to do."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from foundation.errors import UserError
from tests.descent.helpers import SHORT, refused, run

STOPPING = ["--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model.network.widht=3"], r"unknown argument --model\.network\.widht: SmallCNN has no argument widht\. Did you mean --model\.network\.width\?"),
        (["--trainer.max_epoch=3"], r"unknown argument --trainer\.max_epoch\. Did you mean --trainer\.max_epochs\?"),
        (["--trainer.max_epochs=three"], r"trainer\.max_epochs must be an integer or null, got three"),
        (["--model.optimizer.lr=fast"], r"model\.optimizer\.lr must be a number, got fast"),
        (["--model.network=NoSuch"], r"model\.network: NoSuch is neither a file nor a class path"),
        (["--model.network=torch.nn.Convv2d"], r"model\.network: torch\.nn has no Convv2d\. Did you mean torch\.nn\.Conv2d"),
        (["--model.network=nowhere.Net"], r"model\.network: no module named nowhere\. A class of your own is looked up in"),
        (["--model.network=torch.optim.SGD"], r"model\.network: torch\.optim\.SGD is not a subclass of Module"),
        (["--model.optimizer=SGDD"], r"model\.optimizer: SGDD is neither .* Did you mean SGD\?"),
        (["--model.loss=losses/focl.yaml"], r"preset not found: losses/focl\.yaml\. Did you mean losses/focal\.yaml\?"),
        (["--model.scheduler=torch.optim.lr_scheduler.StepLR"], r"StepLR needs step_size; give it as --model\.scheduler\.step_s"),
        (["--model.optimizer.lr=-1"], r"model\.optimizer\.lr must be ≥ 0, got -1"),
        (["--trainer.gradient_clip_val=-1"], r"trainer\.gradient_clip_val must be ≥ 0, got -1"),
        (["--trainer.val_check_interval=100"], r"val_check_interval is 100, but an epoch has 3 training batches"),
        (["--trainer.val_check_interval=0"], r"val_check_interval must be in \(0, 1\], or a whole number ≥ 1, got 0"),
        (["--seed_everything=-1"], r"--seed_everything must be in \[0, 4294967295\], got -1"),
        (["--data.num_workers=100000"], r"data\.num_workers must be in \[0, 512\], got 100000"),
        (["--checkpoint.monitor=val/accuracy", "--checkpoint.mode=min"], r"a larger accuracy is better: set checkpoint\.mode"),
        (["--model.scheduler=schedulers/plateau.yaml", "--model.scheduler.monitor=val/nosuch"], r"^model\.scheduler: The schedule monitors 'val/nosuch', and it is not known .*\?$"),
        (["--experiment="], r"experiment must be the name of a folder inside the root, got ''"),
        ([*STOPPING, "--trainer.callbacks.monitor=val/elbo"], r"EarlyStopping monitors 'val/elbo', and it is not known"),
        (
            [*STOPPING, "--trainer.callbacks.monitor=val/elbo", "--trainer.callbacks.mode=min"],
            r"EarlyStopping monitors 'val/elbo', which is not logged",
        ),
        (
            [*STOPPING, "--trainer.callbacks.monitor=val/accuracy", "--trainer.callbacks.mode=min"],
            r"EarlyStopping monitors 'val/accuracy' with mode min, .*: set trainer\.callbacks\.mode: max",
        ),
        (["--checkpoint.monitor=val/acc"], r"val/acc.*did you mean 'val/accuracy'"),
        (
            ["--model.scheduler=schedulers/plateau.yaml", "--model.scheduler.monitor=val/los"],
            r"The schedule monitors 'val/los', and it is not known .*\. Did you mean 'val/loss'\?",
        ),
        (["--data.batch_size=5000"], r"batch_size 5000 is larger than the training data"),
        (["--data=data/image_folder.yaml", "--data.root=nowhere"], r"nowhere"),
        (["--data=NoData"], r"data: NoData is neither a file nor a class path"),
        (["--model.network=torch.nn.Flatten"], r"Flatten gives \(2, 64\) for 2 images; the data has 10 classes"),
        (["--model.network=networks/resnet18_cifar.yaml", "--model.network.depth=3"], r"unknown argument --model\.network\.depth"),
        (["--ckpt_path=nowhere.ckpt"], r"checkpoint not found: nowhere\.ckpt; .* holds no checkpoint"),
        (["--ckpt_path=best"], r"--ckpt_path best needs a run: give its config, -c RUN/config\.yaml"),
        (["--trainer.accelerator=gpu"], r"(?i)gpu"),
        (["--trainer.precision=17"], r"(?i)precision"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_arguments(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(said, refused([*SHORT, *words], capsys))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ft"], r"unknown command ft: did you mean fit\?"),
        (["train", "-c", "x.yaml"], r"unknown command train: did you mean descent fit -c CONFIG\?"),
        (["resume", "runs"], r"did you mean descent fit --ckpt_path RUN\?"),
        (["-c", "x.yaml"], r"the command comes first"),
        (
            ["test", "--ckpt_path", "mine.yaml"],
            r"--ckpt_path mine\.yaml is a config, not a checkpoint: a config is given as -c mine\.yaml",
        ),
        (["fit", "--seed_everything=1"], r"model lacks network, optimizer: give a config"),
        (["fit"], r"fit needs a config: descent fit -c configs/quickstart\.yaml\."),
        (["show", "schedule"], r"show schedule needs a config: descent show schedule -c configs/quickstart\.yaml\."),
        (["test"], r"test needs a trained network: descent test --ckpt_path runs/quickstart\."),
        (
            ["fit", "-c", "configs/quikstart.yaml"],
            r"preset not found: configs/quikstart\.yaml\. Did you mean quickstart\.yaml\?",
        ),
        (["fit", "-c", "mine.yml"], r"mine\.yml"),
        (["test", "--ckpt_path", "runs/none"], r"checkpoint not found: runs/none"),
        (["show", "losses", "--out", "file"], r"--out file cannot be written: File exists"),
        (["show", "optimizers", "--condition", "nan"], r"--condition must be in \[1, 1e\+09\], got nan"),
        (["show", "optimizers", "--steps", "many"], r"--steps must be an integer, got many"),
        (["evaluate", "--ckpt_path=runs", "--outs=1"], r"unknown argument --outs\. Did you mean --out\?"),
        (
            ["export", "--ckpt_path=runs", "--to=torch", "--imagse", "a"],
            r"unknown argument --imagse\. Did you mean --images\?",
        ),
        (["compare", "-c", "quickstart.yaml", "--pln"], r"unknown argument --pln\. Did you mean --plan\?"),
        (
            ["compare", "-c", "studies/quickstart.yaml", "--seedss", "3"],
            r"unknown argument --seedss\. Did you mean --seeds\?",
        ),
        (["compare", "-c", "studies/quickstart.yaml", "--trials", "["], r"--trials must be a value as in YAML, got \["),
        (["compare", "-c", "quickstart.yaml"], r"the file is the config of a run, not a study"),
    ],
)
def test_a_mistake_in_the_command(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("not a folder")
    Path("mine.yaml").write_text("trainer: {}\n")
    assert re.search(said, refused(words, capsys))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trainer: [\n", r"mine\.yaml, line 2 is not valid YAML"),
        ("trainer: {max_epochs: many}\n", r"trainer\.max_epochs must be an integer or null, got many"),
        (
            "trainer: {max_epoch: 3}\n",
            r"unknown key trainer\.max_epoch\. Did you mean trainer\.max_epochs\? \(mine\.yaml, line 1\)",
        ),
    ],
)
def test_a_mistake_in_the_config(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(text)
    assert re.search(said, refused([*SHORT, "-c", "mine.yaml"], capsys))


def folder_of_images(root: Path, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for part in ("train", "test"):
        for index, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for number in range(8):
                Image.new("RGB", (32, 32), (40 * index, 10 * number, 90)).save(root / part / name / f"{number}.png")
    return root


FOLDER = ["--data=data/image_folder.yaml", "--data.root=images", "--data.batch_size=4", "--data.val_share=0.25"]


def test_corrupt_images(capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of_images(Path("images"))
    (root / "train" / "cat" / "3.png").write_bytes(b"")
    good = (root / "train" / "dog" / "2.png").read_bytes()
    (root / "train" / "dog" / "2.png").write_bytes(good[: len(good) // 2])
    said = refused([*SHORT, *FOLDER], capsys)
    assert "3.png" in said
    assert "2.png" in said
    assert not list(root.rglob("*.npy")), "a partial cache was left"


def test_folders_without_classes(capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of_images(Path("images"))
    (root / "train" / "empty").mkdir()
    assert "empty" in refused([*SHORT, *FOLDER], capsys)
    (root / "train" / "empty").rmdir()
    for file in (root / "train" / "dog").iterdir():
        file.unlink()
    (root / "train" / "dog").rmdir()
    assert re.search(r"one class|1 class|at least two|two classes", refused([*SHORT, *FOLDER], capsys))


def test_a_folder_that_cannot_be_created(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("not a folder")
    said = refused([*SHORT, "--trainer.default_root_dir=file/runs"], capsys)
    assert re.search(r"trainer\.default_root_dir: file/runs/quickstart cannot be made: Not a directory", said)


def test_checkpoints_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    run([*SHORT, "--trainer.default_root_dir=first"])
    checkpoint = Path("first/quickstart/0/checkpoints/last.ckpt")
    other = [*SHORT, "--model.network.width=8", f"--ckpt_path={checkpoint}"]
    config = Path("first/quickstart/0/config.yaml")
    before = config.read_text()
    assert re.search(r"of another network than SmallCNN.*shape.*network\.", refused(other, capsys))
    assert config.read_text() == before, "a run's config was replaced by one that does not fit it"
    whole = checkpoint.read_bytes()
    Path("short.ckpt").write_bytes(whole[: len(whole) // 2])
    assert re.search(r"short\.ckpt is damaged", refused([*SHORT, "--ckpt_path=short.ckpt"], capsys))
    torch.save({"anything": 1}, "foreign.ckpt")
    assert "foreign.ckpt" in refused([*SHORT, "--ckpt_path=foreign.ckpt"], capsys)


def test_a_variable_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENT_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError, match="checkpoint not found"):
        run([*SHORT, "--ckpt_path=nowhere.ckpt"])


def test_a_bug_in_a_users_class_is_shown_with_its_file_and_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("buggy.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, num_classes: int) -> None:\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(64, num_classes)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x.flatten(1)).undefined\n"
    )
    monkeypatch.syspath_prepend(Path.cwd())
    with pytest.raises(SystemExit, match="2"):
        run([*SHORT, "--model.network=buggy.Net"])
    said = capsys.readouterr().err
    assert "model.network: buggy.Net raises AttributeError: 'Tensor' object has no attribute 'undefined'" in said
    assert "(buggy.py, line 7). DESCENT_TRACEBACK=1 shows the traceback." in said
    monkeypatch.setenv("DESCENT_TRACEBACK", "1")
    with pytest.raises(UserError) as caught:
        run([*SHORT, "--model.network=buggy.Net"])
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_number_in_scientific_notation_is_a_number() -> None:
    assert yaml.safe_load("a: 1e-3")["a"] == "1e-3", "YAML 1.1 reads 1e-3 as text; the parser must not"
    done = run([*SHORT, "--model.optimizer.lr=1e-3"])
    assert done.trainer.optimizers[0].defaults["lr"] == 1e-3
