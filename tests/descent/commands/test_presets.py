"""`descent presets`: a line for each preset."""

import pytest

from descent.commands.presets import main
from descent.presets import names


def test_every_preset_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()
    assert all(len(line.split()) > 3 for line in lines)
    main(["schedulers"])
    assert all(line.startswith("schedulers/") for line in capsys.readouterr().out.splitlines())
