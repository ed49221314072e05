"""Presets are found beside the file that names them, in the working folder, then among the shipped ones."""

from pathlib import Path

import pytest

from descent.presets import SHIPPED, PresetNotFoundError, as_typed, nearest, resolve


def test_the_shipped_preset_is_used_last() -> None:
    assert resolve("losses/focal.yaml") == str(SHIPPED / "losses/focal.yaml")
    assert resolve("configs/losses/focal.yaml") == str(SHIPPED / "losses/focal.yaml")
    Path("losses").mkdir()
    Path("losses/focal.yaml").write_text("class_path: torch.nn.NLLLoss\n")
    assert resolve("losses/focal.yaml") == "losses/focal.yaml"


def test_the_folder_of_the_naming_file_comes_first() -> None:
    for folder in (Path("experiments/losses"), Path("losses")):
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text("class_path: torch.nn.NLLLoss\n")
    assert resolve("losses/mine.yaml", Path("experiments")) == str(Path("experiments/losses/mine.yaml").resolve())


@pytest.mark.parametrize("text", ["torch.optim.SGD", "3e-4", "out.yml", "notes/report.yaml", "a: b\nc.yaml"])
def test_other_texts_are_returned_unchanged(text: str) -> None:
    assert resolve(text) == text


def test_a_preset_that_does_not_exist() -> None:
    with pytest.raises(
        PresetNotFoundError, match=r"preset not found: optimizers/admw\.yaml\. Did you mean optimizers/adam"
    ):
        resolve("optimizers/admw.yaml")


@pytest.mark.parametrize(
    ("path", "key", "hint"),
    [
        ("losses/focl.yaml", "", "Did you mean losses/focal.yaml?"),
        ("losses/focl.yaml", "model.loss", "Did you mean losses/focal.yaml?"),
        ("losses/focl.yaml", "model", "`descent presets` lists"),
        ("losses/adamw.yaml", "model.discriminator_optimizer", "Did you mean optimizers/adamw.yaml?"),
        ("data/images.yaml", "data", "`descent presets data` lists"),
        ("configs/quickstrat.yaml", "", "Did you mean quickstart.yaml?"),
    ],
)
def test_a_preset_that_is_suggested_fits_its_key(path: str, key: str, hint: str) -> None:
    assert hint in nearest(path, key)


def test_a_shipped_config_is_shown_by_the_name_that_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped_one = str(SHIPPED / "quickstart.yaml")
    monkeypatch.chdir(tmp_path)
    assert as_typed(shipped_one) == "quickstart.yaml"
    assert as_typed(str(tmp_path / "a.yaml")) == str(tmp_path / "a.yaml")
    for name in ("a.yaml", "quickstart.yaml"):
        (tmp_path / name).touch()
    assert as_typed(str(tmp_path / "a.yaml")) == "a.yaml"
    assert as_typed(shipped_one) == shipped_one, "another file of this name is in the working folder"
