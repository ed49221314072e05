"""Run folders never collide; a checkpoint is found by file, run, experiment, `best` or `last`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from descent.runs.folder import Run, claim, newest_run, resolve_checkpoint, run_of
from foundation.errors import UserError


def finished(number: int, names: tuple[str, ...] = ("best", "last")) -> Run:
    run = Run(Path("runs/digits") / str(number))
    (run.folder / "checkpoints").mkdir(parents=True)
    run.config.write_text("trainer: {}\n")
    for name in names:
        run.checkpoint(name).write_bytes(b"it")
    return run


def test_runs_that_start_at_once_get_different_folders() -> None:
    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda _: claim(Path("runs"), "digits"), range(40)))
    assert sorted(int(run.folder.name) for run in runs) == list(range(40))


def test_numbers_continue_after_the_highest() -> None:
    (Path("runs/digits") / "7").mkdir(parents=True)
    (Path("runs/digits") / "notes").mkdir()
    run = claim(Path("runs"), "digits")
    assert (run.folder, run.experiment, run.root) == (Path("runs/digits/8"), "digits", Path("runs"))


def test_processes_of_one_run_share_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = claim(Path("runs"), "digits")  # passes it to its children in the environment
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert claim(Path("runs"), "digits").folder == parent.folder.absolute()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs/digits/1/checkpoints/last.ckpt", "runs/digits/1/checkpoints/last.ckpt"),
        ("runs/digits/1", "runs/digits/1/checkpoints/best.ckpt"),
        ("runs/digits", "runs/digits/10/checkpoints/best.ckpt"),  # by number, not by name
    ],
)
def test_checkpoint_by_file_run_or_experiment(text: str, expected: str) -> None:
    for number in (1, 9, 10):
        finished(number)
    assert resolve_checkpoint(text, "best", None) == Path(expected)


def test_a_run_without_best_uses_last() -> None:
    finished(0, names=("last",))
    assert resolve_checkpoint("runs/digits/0", "best", None).name == "last.ckpt"


def test_best_and_last_need_a_runs_config() -> None:
    run = finished(3)
    assert resolve_checkpoint("last", "best", run) == run.checkpoint("last")
    with pytest.raises(UserError, match="--ckpt_path best needs a run: give its config"):
        resolve_checkpoint("best", "best", None)


def test_errors_list_the_checkpoints_that_exist() -> None:
    finished(0, names=("last",))
    with pytest.raises(FileNotFoundError, match=r"not found: .*epoch3\.ckpt; in .*checkpoints there is last\.ckpt"):
        resolve_checkpoint("runs/digits/0/checkpoints/epoch3.ckpt", "best", None)
    with pytest.raises(FileNotFoundError, match=r"holds no checkpoint \(CHECKPOINT\)\.$"):
        resolve_checkpoint("nowhere/a.ckpt", "best", None, "CHECKPOINT")
    Path("empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no run with checkpoints in this folder"):
        resolve_checkpoint("empty", "best", None)


def test_the_run_that_a_file_belongs_to() -> None:
    run = finished(2)
    for path in (run.config, run.checkpoint("best")):
        found = run_of(path)
        assert found is not None
        assert found.folder == run.folder.absolute()
    assert run_of(Path("configs/quickstart.yaml")) is None
    assert newest_run(Path("runs/digits")) == run


def test_a_config_that_the_user_wrote_makes_no_run(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text("trainer: {}\n")
    assert run_of(tmp_path / "checkpoints" / "last.ckpt") is None
    assert run_of(tmp_path / "config.yaml") is None
    (tmp_path / "config.yaml").write_text("# lightning.pytorch==2.6.5\ntrainer: {}\n")
    assert run_of(tmp_path / "checkpoints" / "last.ckpt") == Run(tmp_path)


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(0)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_checkpoint("~/runs/digits", "last", None).resolve() == run.checkpoint("last").resolve()


def test_an_unused_folder_is_deleted() -> None:
    run = claim(Path("runs"), "digits")
    run.config.write_text("trainer: {}\n")
    (run.folder / "events.out.tfevents.1").write_bytes(b"")
    run.discard_if_unused()
    assert not run.folder.exists()
    kept = finished(5)
    kept.discard_if_unused()
    assert kept.checkpoint("last").exists()
