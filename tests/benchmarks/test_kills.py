"""Two real kills of `descent fit`; two hundred are a benchmark."""

from pathlib import Path

import pytest

from benchmarks.checkpoints import kills


def test_two_kills_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kills", "--kills", "2"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        kills.main()
    said = capsys.readouterr().out
    assert ended.value.code == 0, said
    tally = dict(line.split() for line in said.splitlines() if len(line.split()) == 2)
    assert tally["kills"] == "2"
    assert tally["within_saves"] != "0"
    assert (tally["damaged"], tally["lost"], tally["different"]) == ("0", "0", "0")
