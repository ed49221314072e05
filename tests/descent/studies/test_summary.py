"""Several studies at once: what is read of their folders, ranks, profiles, page and command."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

import cli
from descent.studies.summary.page import scope, sentences, summarise, summary_page
from descent.studies.summary.profiles import mean_ranks, profile, ranks_of, ratios_of
from descent.studies.summary.read import StudyScores, read_studies
from foundation.errors import UserError

ROOT = Path(__file__).parents[3]


def folder(
    path: Path, levels: dict[str, float], metric: str = "accuracy", mode: str = "max", sd: float = 0.002
) -> Path:
    """A finished study with 6 rounds of 2 final runs; a NaN level diverges."""
    rng = np.random.default_rng(len(str(path.name)))
    rows = [{"stage": "tune", "round": 0, "candidate": name, "index": 0, "status": "done"} for name in levels]
    for index in range(12):
        for name, level in levels.items():
            score = level + sd * rng.normal()
            state = "diverged" if np.isnan(level) else "done"
            row = {"stage": "rerun", "round": index // 2, "candidate": name, "index": index, "status": state}
            rows.append({**row, f"val/{metric}": score + 0.1, f"test/{metric}": score})
    path.mkdir()
    pd.DataFrame(rows).to_csv(path / "runs.csv", index=False)
    (path / "study.yaml").write_text(yaml.safe_dump({"metric": f"val/{metric}", "mode": mode}))
    return path


def test_scores_are_the_test_metric_by_round_of_the_candidates_that_all_studies_have(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", {"A": 0.9, "B": 0.8, "only here": 0.99})
    b = folder(tmp_path / "b", {"B": 3.0, "A": 2.0, "C": 1.0}, "rmse", "min")
    names, (first, second) = read_studies([a, b])
    assert names == ["A", "B"]
    assert (first.metric, second.metric) == ("test/accuracy", "test/rmse")
    assert first.scores.shape == second.scores.shape == (2, 6)
    assert first.costs == pytest.approx([0.1, 0.2], abs=0.005)
    assert second.costs == pytest.approx([2.0, 3.0], abs=0.005)
    runs = pd.read_csv(a / "runs.csv")
    pair = runs[(runs.candidate == "A") & (runs["round"] == 3) & (runs.stage == "rerun")]
    assert first.scores[0, 3] == pytest.approx(pair["test/accuracy"].mean())


def test_studies_that_cannot_be_summed_up_are_refused_in_a_line(tmp_path: Path) -> None:
    a, other = folder(tmp_path / "a", {"A": 0.9, "B": 0.8}), folder(tmp_path / "o", {"C": 0.9, "B": 0.8})
    reward = folder(tmp_path / "r", {"A": 9.0, "B": 8.0}, "reward")
    negative = folder(tmp_path / "n", {"A": -9.0, "B": 8.0}, "rmse", "min")
    for folders, error, message in [
        ([a], UserError, "at least 2 studies, found 1"),
        ([a, tmp_path / "." / "a"], UserError, "given twice"),
        ([a, other], UserError, "have 1 candidates of the same name"),
        ([a, tmp_path], FileNotFoundError, "is no finished study: it has no runs.csv"),
    ]:
        with pytest.raises(error, match=message):
            read_studies(folders)
    failed = folder(tmp_path / "f", {"A": np.nan, "B": np.nan}, "rmse", "min")
    for wrong, message in [
        (reward, "r is judged by test/reward"),
        (negative, "n has negative values of test/rmse"),
        (failed, "in f every candidate failed"),
    ]:
        with pytest.raises(UserError, match=message):
            summarise(*read_studies([a, wrong]))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("runs.csv", "", "is no table of a study's runs: No columns"),
        ("runs.csv", "stage,candidate,index\n", "it has no column status"),
        ("study.yaml", "metric: val/f1\n", "the runs have no val/f1"),
        ("study.yaml", "mode: max\n", "b: study.yaml names no metric"),
    ],
)
def test_a_folder_whose_files_are_not_those_of_a_study_is_refused(
    tmp_path: Path, file: str, content: str, message: str
) -> None:
    studies = [folder(tmp_path / name, {"A": 0.9, "B": 0.8}) for name in ("a", "b")]
    (studies[1] / file).write_text(content)
    with pytest.raises(UserError, match=message):
        read_studies(studies)


def test_studies_in_folders_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    folders = [folder(tmp_path / name, {"A": 0.9, "B": 0.8}) for name in ("a/out", "b/out", "c")]
    found = summarise(*read_studies(folders)).as_dict()
    assert found["studies"] == [*map(str, folders[:2]), "c"]
    assert set(found["ratios"]) == set(found["studies"])


def test_ranks_agree_with_scipy_and_their_intervals_hold_the_mean() -> None:
    costs = np.array([[0.3, 0.1, 0.2], [0.3, 0.3, 0.1]])
    assert ranks_of(costs).tolist() == [stats.rankdata(row).tolist() for row in costs]
    rng = np.random.default_rng(0)
    studies = [StudyScores(str(i), "rmse", False, 1 + rng.random((3, 8))) for i in range(6)]
    found = mean_ranks(studies)
    assert found.mean.sum() == pytest.approx(6.0)
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()
    assert found.over_studies
    assert not mean_ranks(studies[:4]).over_studies


def test_intervals_of_ranks_cover_the_truth_of_equal_candidates() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(60):
        studies = [StudyScores(str(i), "rmse", False, 5 + rng.normal(size=(2, 8))) for i in range(8)]
        found = mean_ranks(studies)
        inside.append(found.low[0] <= 1.5 <= found.high[0])
    assert np.mean(inside) >= 0.85


def test_a_profile_is_the_share_of_studies_within_a_ratio_and_a_failure_never_counts() -> None:
    ratios = ratios_of(np.array([[1.0, 2.0, np.inf], [3.0, 1.5, 1.0], [0.0, 0.0, 4.0]]))
    assert ratios.tolist() == [[1.0, 2.0, np.inf], [3.0, 1.5, 1.0], [1.0, 1.0, np.inf]]
    at = np.array([1.0, 1.5, 2.0, 3.0, 1e9])
    assert (3 * profile(ratios, at)).round().tolist() == [[2, 2, 2, 3, 3], [1, 2, 3, 3, 3], [1, 1, 1, 1, 1]]


def test_page_and_sentences_say_what_the_intervals_are_about_and_what_failed(tmp_path: Path) -> None:
    folders = [folder(tmp_path / f"{i}", {"A": 0.9, "B": 0.9, "C": 0.7 if i else np.nan}) for i in range(3)]
    found = summarise(*read_studies(folders))
    assert "with fewer than 5 nothing is said of other data or networks" in scope(found)
    assert found.names[found.order[2]] == "C"
    assert "overlaps that of" in sentences(found)[1]
    text = summary_page(found)
    assert "<script" not in text
    assert "<td>failed</td>" in text
    assert "90.0 % (1.0" in text
    assert '<figure class="themed" id="profiles">' in text, "it follows the dark mode"
    assert "currentColor" in text
    many = [folder(tmp_path / f"m{i}", {"A": 0.9 + 0.01 * i, "B": 0.8}) for i in range(5)]
    clear = summarise(*read_studies(many))
    assert "a random sample" in scope(clear)
    assert len(sentences(clear)) == 2, "nothing overlaps"


def test_the_command_writes_a_page_and_overwrites_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = folder(tmp_path / "a", {"A": 0.9, "B": 0.8}), folder(tmp_path / "b", {"A": 0.9, "B": 0.7})
    page = tmp_path / "page.html"
    words = ["compare", "--summary", str(a), str(b), "--out", str(page)]
    cli.main(words)
    assert "A has the smallest mean rank, 1.00 [1.00, 1.00]" in capsys.readouterr().out
    before = page.read_bytes()
    cli.main([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["best_in"] for row in found["candidates"]] == [2, 0]
    assert found["report"] != str(page)
    assert page.read_bytes() == before
    for wrong, message in (
        ([str(a)], "at least 2 studies"),
        ([str(a), str(b), "-c", "x.yaml"], "takes finished studies and no -c"),
        ([str(a), str(b), "--budget", "5m"], "no --budget"),
        ([str(a), str(b), "--plan"], "no --plan"),
        ([str(a), str(b), "--trials", "3"], "no --trials"),
        ([str(a), str(b), "--out", str(tmp_path)], "--out must be the file of the page"),
        ([str(a), "nowhere"], "nowhere is no finished study"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(["compare", "--summary", *wrong])
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert message in said


def test_the_documented_command_sums_up_the_shipped_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs/studies/README.md").read_text()
    found = re.search(r"^    descent (compare --summary (\S+))$", text, re.MULTILINE)
    assert found is not None
    folders = sorted(ROOT.glob(found[2]))
    monkeypatch.chdir(tmp_path)
    cli.main(["compare", "--summary", *map(str, folders)])
    assert "3 studies" in capsys.readouterr().out


SHIPPED = sorted(path.parent for path in (ROOT / "docs/studies").glob("*/study.yaml"))
OPPOSITE = {("better", "worse"), ("worse", "better")}


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_each_shipped_study_is_repeated_and_not_contradicted(folder: Path) -> None:
    first, second = (
        pd.read_csv(folder / file).set_index("candidate")["decision"] for file in ("table.csv", "repetition.csv")
    )
    assert set(first.index) == set(second.index)
    assert not {(first[each], second[each]) for each in first.index} & OPPOSITE
