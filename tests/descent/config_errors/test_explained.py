"""A mistake in a config: the key, what was found and expected, the nearest right key, the file and line."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from descent import presets
from descent.config_errors.given import Given, given_as_option, read_config, shorten
from descent.config_errors.tree import _empty_keys
from descent.config_errors.types import in_words
from descent.training.build import build, parse_config
from foundation.errors import UserError
from tests.descent.helpers import refused

QUICKSTART = ("-c", str(presets.SHIPPED / "quickstart.yaml"))


def said(words: Sequence[str]) -> str:
    with pytest.raises(UserError) as refused:
        build(parse_config([*QUICKSTART, *words], "fit"), command="fit")
    assert len(str(refused.value)) <= 400
    return str(refused.value)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("--model.optimizer.lrr=3", r"^unknown argument --model\.optimizer\.lrr: AdamW has no argument lrr\. Did you mean --model\.optimizer\.lr\? It takes lr, betas"),
        ("--data.batchsize=3", r"DigitsDataModule has no argument batchsize\. Did you mean --data\.batch_size\?"),
        ("--model.network.init_args.widt=3", r"Did you mean --model\.network\.width\?"),
        ("--model.optimzer=optimizers/sgd.yaml", r"ImageClassifier has no argument optimzer\. Did you mean --model\.optimizer\?"),
        ("--lr=3", r"unknown argument --lr\. Did you mean --model\.optimizer\.lr\?"),
        ("--batch_size=3", r"Did you mean --data\.batch_size\?"),
        ("--optimizer=sgd", r"Did you mean --model\.optimizer\?"),
        ("--epochs=3", r"Did you mean --trainer\.max_epochs\?"),
        ("--trainer.max_epochs=1e1", r"^trainer\.max_epochs must be an integer or null, got 1e1: write 10\.$"),
        ("--model.optimizer.betas=(0.9, 0.95)", r"betas must be a list of 2 numbers, got \(0\.9, 0\.95\): write \[0\.9, 0\.95\]"),
        ("--model.optimizer.betas=3", r"^model\.optimizer\.betas must be a list of 2 numbers, got 3\.$"),
        ("--model.optimizer.lr={a: 1}", r"^model\.optimizer\.lr must be a number, got \{a: 1\}\.$"),
        (f"--checkpoint.dirpath={__file__}", r"test_explained\.py is a file; choose another place with --checkpoint\.dirpath\.$"),
        (f"--checkpoint.dirpath={__file__}/x", r"test_explained\.py is a file; choose another place with --checkpoint\.dirpath\.$"),
        ("--checkpoint.mode=up", r"^checkpoint\.mode must be min, max or null, got up\.$"),
        ("--model.optimizer={class_path: torch.optim.SGD, init_args: {lrr: 3}}", r"Did you mean --model\.optimizer\.lr\?"),
        ("--model.network=null", r"^model\.network must be a class of kind Module, got null\.$"),
        ("--data.size=99999999999999999999", r"^data\.size must be below 2\^63, the largest integer of torch, got 9{20}\.$"),
        ("--trainer.num_nodes=1e-400", r"^trainer\.num_nodes is 1e-400, which a computer reads as 0: give 0 or a larger number\.$"),
        ("--model.optimizer.betas=[0.9, 1e-999]", r"^model\.optimizer\.betas is 1e-999, which a computer reads"),
        ("--trainer.logger=NeptuneLogger", r"got NeptuneLogger; there are CSVLogger, CometLogger"),
        ("--model.network.num_classes=3", r"^model\.network\.num_classes is 3, but the data has num_classes 10, which counts: remove"),
        ("--model.network.in_channels=7", r"^model\.network\.in_channels is 7, but the data has channels 1, which counts: remove it"),
        ("--model.num_classes=3", r"^model\.num_classes is 3, but the data has num_classes 10, which counts: remove it\.$"),
        ("--model.optimizer.ls=1", r"Did you mean --model\.optimizer\.lr\?"),
        ("--model.optimizer.Lr=1", r"Did you mean --model\.optimizer\.lr\?"),
        ("--model.network.widt", r"^unknown argument --model\.network\.widt\. Did you mean --model\.network\.width\?"),
        ("--model.network.width", r"^--model\.network\.width needs a value\.$"),
        ("--model.optimizer.lr=0,1", r"must be a number, got 0,1: write 0\.1\.$"),
        ("--trainer.limit_train_batches=1,5", r"must be a number or null, got 1,5\.$"),
        ("--data.val_share=20%", r"must be a number, got 20%: write 0\.2\.$"),
        ("--data.batch_size=10k", r"must be an integer or auto, got 10k: in digits 10000\.$"),
        ("--trainer.max_steps=1.5M", r"must be an integer, got 1\.5M: in digits 1500000\.$"),
        ("--model.optimizer.betas=0.9,0.99", r"must be a list of 2 numbers, got 0\.9,0\.99: write \[0\.9,0\.99\]\.$"),
        ("--model.optimizer=torch.optim.Adam(lr=0.1)", r"is a call: give the class alone, torch\.optim\.Adam, and its arguments"),
        ("--model.optimizer=optimizers/adam", r"Did you mean optimizers/adam\.yaml\?"),
        ("--model.optimizer=adam.yaml", r"Did you mean optimizers/adam\.yaml\?"),
        ("--hlp", r"Did you mean --help\?"),
        ("--mode=1", r"Did you mean --data\.augmentation\.mode or --checkpoint\.mode or --model\?"),
        ("--model.loss=losses", r"model\.loss: losses is neither a file nor a class path"),
        ("--model.network=__main__", r"model\.network: __main__ is a module: name a class in it"),
        ("--model.network=torch", r"model\.network: torch is a module: name a class in it, as in torch\.Name\.$"),
        ("--model.optimizer.lr={}", r"model\.optimizer\.lr must be a number, got \{\}\.$"),
        ("--trainer.accelerator=[-1, -1]", r"trainer\.accelerator must be a text, got \[-1, -1\]\.$"),
        ("--model.loss={torch.nn.MSELoss: {}}", r"CrossEntropyLoss has no argument torch\.nn\.MSELoss\. A class is named by its path alone: --model\.loss torch\.nn\.MSELoss\."),
        ("--model.optimizer={b: {c: {}}}", r"^unknown argument --model\.optimizer\.b: AdamW has no argument b\."),
        ("--data={x: {}}", r"^unknown argument --data\.x: DigitsDataModule has no argument x\."),
        ("--model.scheduler.scheduler={}", r"^model\.scheduler\.scheduler holds \{\}: give it keys, or leave it out\.$"),
        ("--model.scheduler.class_path={}", r"^model\.scheduler\.class_path must be the path of a class"),
        ("--trainer.callbacks={}", r"^trainer\.callbacks lacks class_path, the class of kind Callback that it configures\.$"),
        ("--trainer.callbacks=[{}]", r"^trainer\.callbacks\[0\] lacks class_path"),
        ("--model.loss={class_path: torch.nn.CrossEntropyLoss, dict_kwargs: {a: 3}}", r"^model\.loss\.dict_kwargs\.a: CrossEntropyLoss has no argument a\.$"),
        ("--trainer.callbacks=true", r"trainer\.callbacks: true is neither a file .* folder\)\.$"),
    ],
)  # fmt: skip
def test_an_option(word: str, line: str) -> None:
    assert re.search(line, said([word]))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("configs/quickstart.yaml",), r"a config is given as -c configs/quickstart\.yaml"),
        (("lr=0.1",), r"did you mean --model\.optimizer\.lr 0\.1\?"),
        (("model.lr=0.1",), r"did you mean --model\.optimizer\.lr 0\.1\?"),
        (("--trainer.max_epochs", "=", "3"), r"write --trainer\.max_epochs VALUE or --trainer\.max_epochs=VALUE, without spaces"),
        (("-c", "quickstart"), r"^config not found: quickstart\. Did you mean quickstart\.yaml\?"),
        (("-c", "."), r"^\. is a folder: -c takes a config file\.$"),
        (("trainer.max_epochs=3",), r"so --trainer\.max_epochs=3"),
        (("--trainer.max_epochs",), r"--trainer\.max_epochs needs a value: an integer or null"),
        (("--trainer.callbacks=callbacks/ema.yaml", "--trainer.callbacks.update_starting_at_step=null"), r"^trainer\.callbacks\.update_starting_at_step must be an integer, got null\.$"),
        (("--model.optimizer.differentiable=true",), r"AdamW: differentiable must be false"),
        (("-c",), r"-c needs the path of a config"),
        (("--trainer.callbacks=callbacks/early_stopping.yaml", "--trainer.callbacks.patience=many"), r"^trainer\.callbacks\.patience must be an integer, got many"),
        (("--trainer.callbacks=callbacks/early_stopping.yaml", "--trainer.callbacks.patiance=3"), r"EarlyStopping has no argument patiance\. Did you mean --trainer\.callbacks\.patience\?"),
        (
            ("--trainer.callbacks=callbacks/ema.yaml", "--trainer.callbacks+=callbacks/early_stopping.yaml", "--trainer.callbacks.patience=a"),
            r"^trainer\.callbacks\[1\]\.patience must be an integer, got a\.$",
        ),
        (("--data=datamodules.ImageFolderDataModule",), r"^data: ImageFolderDataModule needs root; give it as --data\.root VALUE"),
    ],
)  # fmt: skip
def test_several_words(words: Sequence[str], line: str) -> None:
    assert re.search(line, said(words))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", r"^mistake\.yaml is empty"),
        (b"trainer: [\n", r"^mistake\.yaml, line 2 is not valid YAML"),
        (b"model:\n", r"^model is empty: give it keys or remove it\. \(mistake\.yaml, line 1\)"),
        (b"model: nosuch.yaml\n", r"^model: config not found: nosuch\.yaml\. \(mistake\.yaml, line 1\)"),
        (b"trainer:\n  accelerator:\n    a: b\n", r"^trainer\.accelerator must be a text, got \{a: b\}\."),
        (b"trainer:\n  callbacks: [callbacks/freeze.yaml, callbacks/nosuch.yaml]\n", r"callbacks\[1\]: preset not found: callbacks/nosuch\.yaml\. .*\(mistake\.yaml, line 2\)"),
        (b"candidates: {}\nbaseline: a\n", r"^mistake\.yaml is a study, not the config of a run: descent compare -c mistake\.yaml"),
        (b"trainer:\n  max_epochs:3\n", r"got max_epochs:3: write max_epochs: 3, with a space\. \(mistake\.yaml, line 1\)"),
        (b"optimizer:\n  lr: 3\n", r"^unknown key optimizer\. Did you mean model\.optimizer\? \(mistake\.yaml, line 1\)"),
        (b"model:\n  optimizer:\n    class_path: torch.optim.Adam\n    lr: 0.1\n", r"^model\.optimizer\.lr stands beside class_path: the arguments of a class stand below init_args\. \(mistake\.yaml, line 4\)"),
        (b"trainer:\n", r"^trainer must hold keys, got null: give it keys or remove it\. \(mistake\.yaml, line 1\)"),
        (b"model:\n  optimizer:\n    eps: 1.0e-400\n", r"^mistake\.yaml, line 3: eps is 1\.0e-400, which a computer reads as 0: give 0 or a larger number\.$"),
        (b"- 1\n", r"^mistake\.yaml, line 1 is no mapping"),
        (b"a: \xe9\n", r"^mistake\.yaml is no text in UTF-8"),
        (b"trainer: {}\nmodel: {}\ntrainer: {}\n", r"^mistake\.yaml, line 3: the key trainer stands twice"),
        (b"a: &x [*x]\n", r"^mistake\.yaml, line 1: an anchor contains itself"),
        (b"trainer:\n  max_epoch: 3\n", r"^unknown key trainer\.max_epoch\. Did you mean trainer\.max_epochs\? \(mistake\.yaml, line 2\)"),
        (
            b"trainer:\n  callbacks:\n  - class_path: callbacks.GradientNorm\n    init_args:\n      by_layr: true\n",
            r"^unknown key trainer\.callbacks\[0\]\.by_layr: GradientNorm has no argument by_layr\. Did you mean "
            r"trainer\.callbacks\[0\]\.by_layer\?.*\(mistake\.yaml, line 5\)",
        ),
        (b"model:\n  init_args:\n    optimizer:\n      lrr: 3\n", r"^unknown key model\.optimizer\.lrr: AdamW .*line 4"),
        (b"model:\n  torch.nn.MSELoss: {}\n", r"^unknown key model\.torch\.nn\.MSELoss: ImageClassifier has no argument .*line 2\)"),
        (b"trainer: {callbacks: {}}\n", r"^trainer\.callbacks lacks class_path, .*\(mistake\.yaml, line 1\)$"),
        (b"model:\n  init_args:\n    parameter_groups:\n      class: 3\n", r"^model\.parameter_groups lacks class_path"),
    ],
)  # fmt: skip
def test_a_config_file(content: bytes, line: str) -> None:
    Path("mistake.yaml").write_bytes(content)
    assert re.search(line, said(["-c", "mistake.yaml"]))


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import nothing_here\n", r"model\.network: mine imports nothing_here, which is not installed"),
        ("class Net(\n", r"model\.network: mine raises SyntaxError: .* \(mine\.py, line 1\)"),
        ("x = 1 / 0\n", r"model\.network: mine raises ZeroDivisionError: division by zero \(mine\.py, line 1\)"),
        ("from torch import nn\nclass Net(nn.Module):\n    def __init__(self, num_classes):\n        {}['a']\n", r"^model\.network: mine\.Net raises KeyError: 'a' \(mine\.py, line 4\)\. DESCENT_TRACEBACK=1 shows"),
        ("from torch import nn\nclass Net(nn.Module):\n    def __init__(self, num_classes):\n        raise ValueError('no width')\n", r"^model\.network: no width$"),
        ("Net = 3\n", r"model\.network: mine\.Net is no class"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_users_own_class(code: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.py").write_text(code)
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)
    assert re.search(line, said(["--model.network=mine.Net"]))
    __import__("sys").modules.pop("mine", None)


def test_a_place_is_kept_for_each_value() -> None:
    Path("mine.yaml").write_text("trainer:\n  max_epochs: 1e-3\n  callbacks: [a, {b: '2'}]\n")
    read = read_config("mine.yaml")
    assert read.plain == {"trainer": {"max_epochs": 1e-3, "callbacks": ["a", {"b": "2"}]}}
    assert read.value["trainer"].value["max_epochs"].place == "mine.yaml, line 2"


def test_values_and_types_in_words() -> None:
    assert shorten("x" * 100, 10) == "xxxxxxxxx…"
    assert in_words(int | float | None) == "a number or null"
    assert in_words(list[str] | bool) == "a list of texts or true or false"


def test_a_preset_whose_class_does_not_fit_is_not_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(["fit", "-c", "configs/gan.yaml", "--model.loss=MSELoss"], capsys)
    assert "`descent presets losses` lists the shipped ones" in text


@pytest.mark.parametrize("word", ["--model.loss={init_args: {}}", "--model={}", "--checkpoint={}", "--trainer={}"])
def test_an_empty_group_that_there_is_changes_nothing(word: str) -> None:
    plain, changed = (parse_config([*QUICKSTART, *words], "fit") for words in ([], [word]))
    assert changed == plain


def test_a_mapping_that_is_longer_than_a_file_name_is_no_file() -> None:
    letters = "x" * 300
    assert given_as_option(f'{{"a": "{letters}"}}').plain == {"a": letters}


def test_an_argument_of_a_callback_that_an_option_adds() -> None:
    words = ["--trainer.callbacks+=callbacks.GradientNorm", "--trainer.callbacks.by_layer=true"]
    added = parse_config([*QUICKSTART, *words], "fit")
    assert added.trainer.callbacks[0].init_args.by_layer is True
    wrong = said([*words, "--trainer.callbacks+={}"])
    assert wrong == "trainer.callbacks[1] lacks class_path, the class of kind Callback that it configures."


def test_an_empty_unknown_key_in_a_preset_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("class_path: torch.nn.CrossEntropyLoss\ninit_args:\n  smothing: {}\n")
    Path("run.yaml").write_text("model:\n  loss: mine.yaml\n")
    line = said(["-c", "run.yaml"])
    assert "CrossEntropyLoss has no argument smothing" in line
    assert "mine.yaml, line 3" in line


def test_an_empty_group_of_arguments_and_an_option_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text("model:\n  optimizer:\n    class_path: torch.optim.SGD\n    init_args:\n")
    line = said(["-c", "run.yaml", "--model.optimizer.lr=0.1", "--model.optimizer.lrr=3"])
    assert "SGD has no argument lrr" in line


def test_a_preset_that_names_itself_and_a_large_file_are_not_read_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("itself.yaml").write_text("a: itself.yaml\nb: {c: 1}\n")
    assert not list(_empty_keys("data", Given("itself.yaml")))
    Path("large.yaml").write_text("a: {}\n" * 50_000)
    assert not list(_empty_keys("data", Given("large.yaml")))
    Path("small.yaml").write_text("a: {}\n")
    assert [path for path, _ in _empty_keys("data", Given("small.yaml"))] == ["data.a"]
