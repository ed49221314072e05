"""The comparison by Lightning's own tests reads pytest's report, and says what folder it needs."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.lightning_tests.__main__ import main, number, outcome

REPORT = """<testsuite>
<testcase classname="tests_pytorch.loggers.test_csv" name="test_a"/>
<testcase classname="tests_pytorch.loggers.test_csv" name="test_b"><failure message="assert 1 ==&#10; 2"/></testcase>
<testcase classname="tests_pytorch.loggers.test_csv" name="test_c"><skipped message="no GPU"/></testcase>
</testsuite>"""


def test_outcomes_of_a_report() -> None:
    found = dict(map(outcome, ET.fromstring(REPORT).iter("testcase")))
    assert found == {
        "loggers.test_csv::test_a": ("passed", ""),
        "loggers.test_csv::test_b": ("failed", "assert 1 == 2"),
        "loggers.test_csv::test_c": ("skipped", "no GPU"),
    }
    assert [number(found, kind) for kind in ("passed", "failed", "skipped")] == [1, 1, 1]


def test_a_folder_without_tests_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lightning_tests", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "give a checkout of Lightning's repository" in capsys.readouterr().err
