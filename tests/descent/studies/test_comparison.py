"""Whole studies with a toy module, through Python and the command line."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import cli
from descent import compare
from descent.studies.comparison import check_unchanged, with_split_key
from descent.studies.running.budget import Budget
from descent.studies.running.ledger import Ledger, StorageError
from descent.studies.running.one_run import RunOrder, execute
from descent.studies.running.planner import Plan
from descent.studies.running.recorder import StudyError
from descent.studies.running.worker import Worker
from descent.studies.study_config import read_study
from foundation.errors import UserError
from tests.descent.studies.synthetic import outcome
from tests.descent.studies.toy import toy_study

ROOT = Path(__file__).parents[3]
UNTIMED = ["seconds_to_target", "seconds", "share_data", "share_forward", "share_backward", "share_step"]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def outcome_of(study: dict[str, Any], name: str, **order: Any) -> dict[str, Any]:
    config = read_study(study)
    return execute(RunOrder(config.run_config(name), metric=config.metric, **{"seed": 1, **order}))


def test_a_study_tells_two_rates_apart_and_writes_its_report(tmp_path: Path) -> None:
    study = toy_study(tmp_path, tuning="rounds", trials=2)
    result = compare(study, out=tmp_path / "out", verbose=False)
    assert result is not None
    assert result.verdict.startswith("With a budget of 2 tuning trials: fast is best")
    rates = {point["model.optimizer.lr"] for point in result.analysis.progress.points("slow")}
    assert len(rates) > 1, "each round chooses its own"
    assert list(result.table.index) == ["fast", "slow"]
    assert result.analysis.metric == "test/margin"
    assert set(result.figures) >= {"differences", "curves", "sensitivity", "expected_best", "time"}
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {"report.html", "table.csv", "runs.csv", "curves.csv", "study.yaml", "machine.yaml", "figures"}
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert len(runs) == 2 * (3 + 4 * (2 + 2))  # pilot, rounds of trials and final runs
    assert (tmp_path / "out" / "figures" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("fast is best") < page.index("<table class") < page.index("<svg")
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_the_same_command_continues_and_repeats_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = compare(toy_study(tmp_path), out=tmp_path / "out", verbose=False)
    capsys.readouterr()
    again = compare(toy_study(tmp_path), out=tmp_path / "out")
    assert first is not None
    assert again is not None
    assert "trial" not in capsys.readouterr().out.partition("\n")[2]
    pd.testing.assert_frame_equal(first.table, again.table)
    with pytest.raises(UserError, match="was started with another value of seeds: choose a new folder"):
        compare(toy_study(tmp_path, seeds=5), out=tmp_path / "out", verbose=False)


def test_a_study_of_an_earlier_version_goes_on_as_it_began(tmp_path: Path) -> None:
    config = read_study(toy_study(tmp_path, tuning="rounds"))
    record = {k: v for k, v in config.record().items() if k not in ("tuning", "repeats", "split_key")}
    ledger = Ledger(f"sqlite:///{tmp_path / 'study.db'}", "toy", tmp_path)
    ledger.get_or_set("rules", lambda: record)
    found = check_unchanged(ledger, config, tmp_path)
    assert (found.tuning, found.final_runs, found.split_key) == ("once", 1, "")
    with pytest.raises(UserError, match="another value of trials"):
        check_unchanged(ledger, replace(config, trials=9), tmp_path)


def test_the_validation_split_is_varied_where_the_data_has_one(tmp_path: Path) -> None:
    assert with_split_key(read_study(toy_study(tmp_path))).split_key == ""
    digits = {"A": {}, "B": {"model.optimizer": "optimizers/sgd.yaml"}}
    study = {"experiment": "quickstart.yaml", "candidates": digits, "baseline": "A", "metric": "val/accuracy"}
    assert with_split_key(read_study(study)).split_key == "data.split_seed"
    assert with_split_key(read_study({**study, "split_key": ""})).split_key == ""


def test_a_study_ends_with_the_rounds_that_its_time_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descent.studies.running.budget.time", SimpleNamespace(monotonic=lambda: 0.0))
    config = read_study(toy_study(tmp_path, trials=1, smallest_difference=1e-12))
    ledger = Ledger(f"sqlite:///{tmp_path / 'study.db'}", "toy", tmp_path)
    ledger.get_or_set("plan", lambda: asdict(Plan(1, 20, 1.0, None)))
    budget = Budget(100.0, 0.0)
    worker = Worker(config, ledger, {name: {} for name in config.names}, budget, lambda line: None)
    scores = iter(np.random.default_rng(0).normal(size=100))  # no look can decide
    worker._run = lambda text: outcome(next(scores), point={}, wall=1.0)  # type: ignore[method-assign]
    # Time for the 8 runs of the pilot, and five rounds of two candidates; each run takes a second.
    budget.earlier = 100.0 - budget.reserve - 18.5
    ledger_run = ledger.run_next

    def run_next(ready: list[str], run: Any) -> Any:
        budget.earlier += 1.0
        return ledger_run(ready, run)

    ledger.run_next = run_next  # type: ignore[method-assign]
    progress = worker.run()
    final = [key for key in progress.outcomes if key.startswith("rerun/")]
    assert len(final) == 10
    assert ledger.get("seeds") == 5
    assert worker.most_rounds(Plan(1, 20, 1.0, None)) == 5, "the whole error may be spent in the rounds that were run"
    assert worker.most_rounds(Plan(1, 4, 1.0, None)) == 4


def test_pairs_share_weights_and_batches_and_seeds_differ(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    slow, fast, other = outcome_of(study, "slow"), outcome_of(study, "fast"), outcome_of(study, "fast", seed=2)
    assert (slow["weights"], slow["batches"]) == (fast["weights"], fast["batches"])
    assert (other["weights"], other["batches"]) != (fast["weights"], fast["batches"])
    assert slow["scores"] != fast["scores"]
    again = outcome_of(study, "fast")
    assert again["scores"] == fast["scores"]


def test_the_clock_counts_training_only_and_the_phases_add_up_to_it(tmp_path: Path) -> None:
    found = outcome_of(toy_study(tmp_path, pause=0.02), "slow", test=True)
    training = found["seconds"][-1]
    assert 8 * 0.02 <= training < found["wall"]
    assert sum(found["split"].values()) == pytest.approx(training, rel=0.3)
    assert found["split"]["forward"] > 0.5 * training
    assert set(found["test"]) == {"test/accuracy", "test/margin"}
    assert outcome_of(toy_study(tmp_path), "slow")["test"] == {}


def test_optimizer_memory(tmp_path: Path) -> None:
    adam = {"model.optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}}}
    study = toy_study(tmp_path, candidates={"slow": {}, "adam": adam})
    assert outcome_of(study, "slow")["bytes_per_parameter"] == 0.0
    # two moments of four bytes, and a step count of four bytes for each of two tensors of 8 numbers in all
    assert outcome_of(study, "adam")["bytes_per_parameter"] == pytest.approx(8 + 2 * 4 / 8)


def test_candidates_that_crash_or_diverge_are_rows_of_the_report(tmp_path: Path) -> None:
    bad = {"broken": {"model.mishap": "crash"}, "wild": {"model.mishap": "diverge"}, "odd": {"model.mishap": "refuse"}}
    study = toy_study(tmp_path)
    study["candidates"] |= bad
    result = compare(study, out=tmp_path / "out", verbose=False)
    assert result is not None
    assert "fast is best" in result.verdict
    assert "broken, wild and odd: not ranked" in result.verdict
    table = result.table
    assert table.loc["broken", "crashed"] == 4
    assert table.loc["wild", "diverged"] == 4
    page = (tmp_path / "out" / "report.html").read_text()
    assert "broken crashed in every run: RuntimeError: the toy is broken" in page
    assert "odd crashed in every run: UserError: mishap must not be refuse." in page
    assert "wild: no tuning trial has a score (4 diverged, 0 crashed)" in page


def test_a_mistake_in_the_study_as_a_whole_ends_it(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no validation data, by which a study chooses"):
        compare(toy_study(tmp_path, overrides={"data.validation": False}), out=tmp_path / "a", verbose=False)
    with pytest.raises(StudyError, match="unknown metric val/f1: the validation logs val/accuracy, val/margin"):
        compare(toy_study(tmp_path, metric="val/f1"), out=tmp_path / "b", verbose=False)
    with pytest.raises(StudyError, match="the baseline, slow, crashes: RuntimeError: the toy is broken"):
        compare(toy_study(tmp_path, overrides={"model.mishap": "crash"}), out=tmp_path / "c", verbose=False)
    assert not [*tmp_path.glob("[abc]")], "the mended study would be refused there: it was started with other values"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").touch()
    with pytest.raises(StudyError, match="unknown metric val/f1"):
        compare(toy_study(tmp_path, metric="val/f1"), out=tmp_path / "mine", verbose=False)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["note.txt"]


def test_a_misspelt_key_of_a_candidate_is_reported_before_anything_runs(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    study["candidates"]["fast"] = {"model.optimizr": "x"}
    with pytest.raises(UserError, match=r"candidate fast: unknown key model\.optimizr"):
        compare(study, out=tmp_path / "out", verbose=False)
    with pytest.raises(UserError, match=r"candidate \w+: trainer\.max_epochs 0 trains nothing"):
        compare(toy_study(tmp_path, overrides={"trainer.max_epochs": 0}), out=tmp_path / "out", verbose=False)
    with pytest.raises(UserError, match=r"^split_key data\.sed, candidate \w+: unknown key data\.sed"):
        compare(toy_study(tmp_path, split_key="data.sed"), out=tmp_path / "out", verbose=False)
    with pytest.raises(UserError, match=r"^seed_keys data\.sed, candidate \w+: unknown key data\.sed"):
        compare(toy_study(tmp_path, seed_keys=["data.sed"]), out=tmp_path / "out", verbose=False)
    assert not (tmp_path / "out").exists()


def test_storage_that_cannot_be_reached_or_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"storage postgresql\+psycopg://me:\*\*\*@localhost:1/x does not work"):
        compare(
            toy_study(tmp_path),
            out=tmp_path / "a",
            storage="postgresql+psycopg://me:secret@localhost:1/x",
            verbose=False,
        )
    with pytest.raises(StorageError, match="does not work: unable to open database file"):
        compare(toy_study(tmp_path), out=tmp_path / "a", storage="sqlite:////nowhere/study.db", verbose=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        compare(toy_study(tmp_path), out=tmp_path / "file", verbose=False)


def test_a_budget_fits_the_study_and_plan_only_stops_after_the_pilot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(toy_study(tmp_path), out=tmp_path / "out", budget="10m", plan_only=True) is None
    out = capsys.readouterr().out
    assert "10.0 min allow 2 candidates × 12 trials × 30 seeds; the smallest detectable difference is" in out
    with pytest.raises(StudyError, match=r"a budget of 1 s is too small: .* start and report alone take"):
        compare(toy_study(tmp_path), out=tmp_path / "b", budget=1.0, verbose=False)


def test_the_command_prints_the_verdict_and_one_line_for_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(toy_study(tmp_path), sort_keys=False))
    words = [
        "compare",
        "-c",
        str(path),
        "--out",
        str(tmp_path / "out"),
        "--trials",
        "2",
        "--seeds",
        "8",
        "--trainer.max_epochs=1",
    ]
    cli.main(words)
    out = capsys.readouterr().out
    assert re.search(r"trial 1  slow  +lr 0\.01  +val/margin", out)
    assert re.search(r"2 candidates × 2 trials × 8 seeds take .* at most", out)
    counts = [(int(done), int(total)) for done, total in re.findall(r"^\[ *(\d+)/(\d+)\]", out, re.MULTILINE)]
    assert [done for done, _ in counts] == list(range(1, len(counts) + 1))
    assert counts[-1] == (len(counts), len(counts))
    cli.main([*words, "--json"])  # continues: nothing is left to run
    found = json.loads(capsys.readouterr().out)
    assert found["population"].startswith(
        "This verdict is about new training runs, tested on these 64 samples; how new"
    )
    assert found["population"] in out
    assert found["verdict"] in out
    assert [row["candidate"] for row in found["table"]] == ["fast", "slow"]
    assert [(row["candidate"], row["decision"]) for row in found["pairs"]] == [("fast", "better")]
    assert found["context"]["data"] == "ToyData"
    assert f"report      {tmp_path}/out/report.html" in out
    for wrong, message in [
        (["compare", "-c", "nowhere.yaml"], "error: study not found: nowhere.yaml"),
        (["compare", "--budget", "5m"], "error: descent compare needs a study"),
        (["compare", "-c", str(path), "--budget", "soon"], "error: the budget must be a time such as 90s"),
        (["compare", "-c", str(path), "loose"], "error: unexpected loose"),
        (["compare", "-c", str(path), "--seeds"], "error: --seeds needs a value"),
        (["compare", "-c", str(path), "--heartbeat", "x"], "error: --heartbeat"),
        (["compare", "-c", str(path), "--seeds", "1"], "error: seeds must be a whole number ≥ 2"),
    ]:
        with pytest.raises(SystemExit) as stop:
            cli.main(wrong)
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith(message)
        assert said.count("\n") == 1
