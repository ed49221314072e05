"""`descent show curves`: runs in one figure, and a line for what is no run."""

from pathlib import Path

import pytest

from cli import main

ROWS = "epoch,step,train/loss,val/loss\n0,9,,0.7\n0,9,0.5,\n1,19,0.2,0.6\n"


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        folder = Path(f"runs/digits/{number}")
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(ROWS)
    ema = "trainer:\n  callbacks:\n  - class_path: callbacks.EMA\n"
    Path("runs/digits/0/config.yaml").write_text(ema)
    Path("runs/empty").mkdir()
    Path("wrong.csv").write_text("a,b\n1,2\n")
    Path("nothing.csv").touch()
    Path("header.csv").write_text("epoch,step,val/loss\n")


def test_runs_in_one_figure(capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "curves", "runs/digits/0", "--to", "one.svg"])
    assert "moving average of the weights (EMA)" in Path("one.svg").read_text()
    main(["show", "curves", "runs/digits/0", "runs/digits/1/metrics.csv", "--metric", "loss", "--to", "new/two.svg"])
    text = Path("new/two.svg").read_text()
    assert "digits/0" in text
    assert "digits/1" in text
    assert capsys.readouterr().out == "one.svg\nnew/two.svg\n"
    main(["show", "curves", "runs/digits"])
    assert Path("curves.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: RUN."),
        (["runs/nothing"], "no run runs/nothing: give a run's folder, such as"),
        (["runs/empty"], "runs/empty is no run: no metrics.csv in runs/empty"),
        (["wrong.csv"], "wrong.csv has no column epoch"),
        (["nothing.csv"], "nothing.csv is no table of metrics: "),
        (["header.csv"], "header.csv has no rows yet."),
        (["runs/digits", "--to", "wrong.csv/curves.png"], "wrong.csv"),
        (["runs/digits/1", "runs/digits"], "is given twice"),
        (["runs/digits", "--metric", "los"], "--metric los is not logged: did you mean loss?"),
        (["runs/digits", "--to", "curves.docx"], "--to curves.docx: the name must end in .png, .pdf or .svg"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["show", "curves", *words])
    caught = capsys.readouterr()
    assert said in caught.err
    assert caught.err.count("\n") == 1
    assert not list(Path().glob("*.png"))


@pytest.mark.parametrize("config", ["trainer: ddp\n", "- 1\n", "trainer: {callbacks: x}\n", "a: [\n", ""])
def test_the_config_of_another_program_is_no_mistake(config: str) -> None:
    Path("runs/digits/1/config.yaml").write_text(config)
    main(["show", "curves", "runs/digits/1"])
    assert Path("curves.png").is_file()
