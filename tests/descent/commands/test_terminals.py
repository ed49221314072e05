"""What a terminal lacks does not stop a command: letters outside its encoding; Ctrl+C is no traceback."""

import io
import sys

import pytest

import cli


def test_a_letter_that_the_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding="latin-1"))
    cli.main(["presets"])
    sys.stdout.write("≥ 1…é")
    sys.stdout.flush()
    assert bytes_written.getvalue().endswith("? 1?é".encode("latin-1"))


def test_ctrl_c_while_torch_is_imported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    with pytest.raises(SystemExit, match="130"):
        cli.console()
    assert capsys.readouterr().err == "\nstopped.\n"


def test_first_words_on_a_terminal_and_an_error_in_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def before_torch() -> None:
        raise ValueError("torch would be imported here")

    monkeypatch.setattr(cli, "tune_allocator", before_torch)
    words = ["fit", "-c", "configs/quickstart.yaml", "--config=more.yaml"]
    for terminal, variables, said in (
        (True, {"TERM": "xterm"}, "descent fit: configs/quickstart.yaml, more.yaml …\n\x1b[1;31merror:\x1b[0m torch"),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, "descent fit: configs/quickstart.yaml, more.yaml …\nerror: torch"),
        (False, {"TERM": "xterm"}, "error: torch"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
            for name, value in ({"NO_COLOR": ""} | variables).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit, match="2"):
                cli.main(words)
        assert capsys.readouterr().err.startswith(said)


def test_no_first_words_before_a_help_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for words in (["evaluate", "--help"], ["inspect", "-h"]):
        with pytest.raises(SystemExit, match="0"):
            cli.main(words)
        said = capsys.readouterr()
        assert said.out.startswith("usage: descent ")
        assert said.err == ""


@pytest.mark.parametrize(("kind", "file"), [("torch", "model.onnx"), ("onnx", "model.pt2")])
def test_an_export_whose_file_is_named_as_the_other_kind(
    kind: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", "--ckpt_path", "runs/x", "--to", kind, "--out", file])
    assert f"--out {file} is a name for --to" in capsys.readouterr().err
