"""The speedrun and its levers: a program's output is read, finished runs are not repeated, ratios are paired."""

import csv
import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.common.command_line import read_csv
from benchmarks.speedrun import __main__ as speedrun
from benchmarks.speedrun import levers, variants
from benchmarks.speedrun.__main__ import OURS, THEIRS, THEIRS_TUNED, Row
from descent.allocator import FOR_CHILDREN
from tests.forked import Forked

PROGRAM = """
import json, os, sys
tuned = "MALLOC_MMAP_MAX_" in os.environ
print("something else")
print(json.dumps(dict(train_s=200.0 if tuned else 400.0, wall_s=500.0, accuracy=0.9, accuracy_tta=0.91, seed=int(sys.argv[1]))))
"""


def test_another_program_is_run_with_each_allocator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOR_CHILDREN.items():
        monkeypatch.setenv(name, value)  # a benchmark may be started by a tuned process
    program = tmp_path / "theirs.py"
    program.write_text(PROGRAM)
    command = f"{sys.executable} {program} {{seed}}"
    assert speedrun.theirs(command, 3, tuned=False) == Row(THEIRS, 3, 400.0, 500.0, 0.9, 0.91)
    assert speedrun.theirs(command, 3, tuned=True) == Row(THEIRS_TUNED, 3, 200.0, 500.0, 0.9, 0.91)
    assert "MALLOC_MMAP_MAX_" in os.environ


def test_it_continues_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, int]] = []

    def ours(data: Path, seed: int) -> Row:
        ran.append((OURS, seed))
        return Row(OURS, seed, 100.0, 100.0, 0.902)

    def theirs(command: str, seed: int, tuned: bool) -> Row:
        ran.append((THEIRS_TUNED if tuned else THEIRS, seed))
        return Row(ran[-1][0], seed, 200.0 if tuned else 400.0, 500.0, 0.9, 0.91)

    monkeypatch.setattr(speedrun, "ours", ours)
    monkeypatch.setattr(speedrun, "theirs", theirs)
    words = ["speedrun", "--data", str(tmp_path), "--reference", "theirs {seed}", "--out", str(tmp_path)]
    for seeds in ("1", "2", "2"):
        monkeypatch.setattr("sys.argv", [*words, "--seeds", seeds])
        speedrun.main()
    assert ran == [(who, seed) for seed in (0, 1) for who in (OURS, THEIRS_TUNED, THEIRS)]
    said = capsys.readouterr().out
    assert "ours against reference: 0.250 (0.250 to 0.250)" in said
    assert "of the means of 2 seeds that both have: 0.250\n  accuracy +0.0020" in said
    assert "ours against reference, tuned allocator: 0.500 (0.500 to 0.500)" in said
    assert len(read_csv(Row, tmp_path / "speedrun.csv")) == 6
    assert (tmp_path / "speedrun.png").stat().st_size > 5000


def test_only_seeds_that_both_have_are_compared() -> None:
    rows = [Row(OURS, seed, 100.0 * (seed + 1), 0, 0.9) for seed in range(3)] + [Row(THEIRS, 1, 400.0, 0, 0.9)]
    assert speedrun.paired_rows(rows, THEIRS) == [(rows[1], rows[3])]
    assert speedrun.ratios(rows) == {}, "one round has no interval"


def test_the_seconds_of_ours_are_those_of_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def descent(words: list[str], folder: str) -> None:
        asked.append(words)
        if words[0] == "evaluate":
            Path(folder, "found").mkdir()
            Path(folder, "found", "evaluation.json").write_text(json.dumps({"accuracy": 0.9}))

    monkeypatch.setattr(speedrun, "descent", descent)
    row = speedrun.ours(tmp_path, seed=5)
    assert (row.who, row.seed, row.accuracy) == (OURS, 5, 0.9)
    assert row.train_s == row.wall_s < 1
    assert asked[0][:3] == ["fit", "-c", "configs/speedrun.yaml"]
    assert asked[0][-2:] == ["--seed_everything", "5"]
    assert asked[1][2].endswith("last.ckpt")


def test_variants_are_compared_with_what_ships_by_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("train", "test"):
        for number in range(10):
            file = tmp_path / "images" / part / "cat" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    ran: list[list[str]] = []

    def ours(data: Path, seed: int, extra: list[str]) -> Row:
        ran.append(extra)
        counts = [len(list((data / part / "cat").iterdir())) for part in ("train", "test")]
        assert counts == [8, 2]
        assert all(file.resolve().parent.parent.name == "train" for file in data.rglob("*.png"))
        return Row(OURS, seed, 80.0 if extra else 100.0, 100.0, 0.89 if extra else 0.9 + 0.01 * seed)

    monkeypatch.setattr(speedrun, "ours", ours)
    words = ["--data", str(tmp_path / "images"), "--held_out", "--out", str(tmp_path), "--variants"]
    words += [variants.SHIPPED, "7 epochs", "--rounds"]
    for rounds in ("1", "2", "2"):
        variants.main([*words, rounds])
    assert ran == [[], variants.VARIANTS["7 epochs"], variants.VARIANTS["7 epochs"], []]
    assert (tmp_path / "variants_held_out.csv").exists()
    said = capsys.readouterr().out
    assert (
        "7 epochs                                        80 s  89.00%  (2 seeds)  seconds × 0.800 (0.800 to 0.800)  accuracy -0.0150"
        in said
    )


def test_each_variant_is_a_config_and_the_pruned_one_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.datamodules.support import image_folder
    from tests.descent.helpers import run

    image_folder(tmp_path / "images", train=30)
    monkeypatch.chdir(tmp_path)
    words = [
        "fit",
        "-c",
        "configs/speedrun.yaml",
        "--data",
        "datamodules.ImageFolderDataModule",
        "--data.root",
        "images",
    ]
    for name in set(variants.VARIANTS) - {variants.SHIPPED}:
        with pytest.raises(SystemExit):
            run([*words, *variants.VARIANTS[name], "--print_config"])
        printed = capsys.readouterr().out
        assert f"max_epochs: {name[:2].strip()}" in printed
        assert ("ratio: 0.3" in printed) == ("pruned" in name)
        assert f"- {0.5 if 'half' in name else 0.375 if '980' in name else 0.2}\n" in printed
        if "pruned" in name:
            small = ["--data.batch_size=8", "--data.val_share=0.1", "--model.network.widths=[4,4,4]"]
            limits = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
            run([*words, *variants.VARIANTS[name], *small, *limits])


def test_levers_are_ratios_to_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds_per_image(data: Path, lever: str) -> float:
        return 2e-3 if lever == "float32" else 1e-3

    monkeypatch.setattr(levers, "seconds_per_image", seconds_per_image)
    monkeypatch.setattr("sys.argv", ["levers", "--data", str(tmp_path), "--rounds", "2", "--out", str(tmp_path)])
    levers.main()
    with (tmp_path / "levers.csv").open() as file:
        rows = {row["without"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(levers.LEVERS)
    assert float(rows["float32"]["ratio"]) == pytest.approx(2.0)
    assert float(rows["float32"]["images_per_second"]) == pytest.approx(500)


class InFolder(Forked):
    """A command in another working folder."""

    def __init__(self, words: list[str], folder: str) -> None:
        self.folder = folder
        super().__init__(words)

    def prepare(self) -> None:
        os.chdir(self.folder)


def in_a_fork(words: list[str], folder: str, variables: dict[str, str]) -> str:
    """Do what `run_python` does with `-m cli …`, without a fresh process."""
    fork = InFolder(words[2:], folder)
    _, said = fork.communicate()
    assert fork.returncode == 0, said
    return said


def test_a_lever_is_a_real_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.datamodules.support import image_folder

    image_folder(tmp_path / "images", train=30)
    monkeypatch.setattr(levers, "run_python", in_a_fork)
    monkeypatch.setattr(levers, "STEPS", 3)
    monkeypatch.setattr(levers, "WARM_UP", 1)
    small = ["--data.batch_size", "8", "--data.val_share", "0.1", "--model.network.widths", "[4,4,4]"]
    lever = "images of 25 pixels"
    monkeypatch.setitem(levers.LEVERS, lever, [*levers.LEVERS[lever], *small])
    assert 0 < levers.seconds_per_image(tmp_path / "images", lever) < 1
