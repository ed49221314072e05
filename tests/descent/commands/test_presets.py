"""Where a preset is looked up."""

from pathlib import Path

import pytest

from descent.commands.presets import main
from descent.presets import SHIPPED, PresetNotFoundError, names, resolve


def test_the_shipped_one_is_the_last_resort() -> None:
    assert resolve("losses/focal.yaml") == str(SHIPPED / "losses/focal.yaml")
    assert resolve("configs/losses/focal.yaml") == str(SHIPPED / "losses/focal.yaml")
    Path("losses").mkdir()
    Path("losses/focal.yaml").write_text("class_path: torch.nn.NLLLoss\n")
    assert resolve("losses/focal.yaml") == "losses/focal.yaml"


def test_beside_the_file_that_names_it_comes_first() -> None:
    for folder in (Path("experiments/losses"), Path("losses")):
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text("class_path: torch.nn.NLLLoss\n")
    assert resolve("losses/mine.yaml", Path("experiments")) == str(Path("experiments/losses/mine.yaml").resolve())


@pytest.mark.parametrize("text", ["torch.optim.SGD", "3e-4", "out.yml", "notes/report.yaml", "a: b\nc.yaml"])
def test_what_is_no_preset_stays(text: str) -> None:
    assert resolve(text) == text


def test_what_is_nowhere() -> None:
    with pytest.raises(
        PresetNotFoundError, match=r"preset not found: optimizers/admw\.yaml\. Did you mean optimizers/adam"
    ):
        resolve("optimizers/admw.yaml")


def test_the_list_has_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()
    assert all(len(line.split()) > 3 for line in lines)
    main(["schedulers"])
    assert all(line.startswith("schedulers/") for line in capsys.readouterr().out.splitlines())
