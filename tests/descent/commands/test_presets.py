"""`descent presets`: a line for each preset."""

import pytest

from descent.commands.presets import main, summary, table
from descent.presets import names


def test_every_preset_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()
    assert all(len(line.split()) > 3 for line in lines)
    main(["schedulers"])
    assert all(line.startswith("schedulers/") for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_lines_fit_the_terminal(columns: int) -> None:
    lines = table({name: summary(name) for name in names()}, columns)
    assert all(len(line) <= columns or line in names() for line in lines)  # a name is never cut: it is what is typed
