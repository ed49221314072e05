"""Compare Lightning's own tests with Lightning's classes and with Descent's.

    git clone --depth 1 --branch 2.6.5 https://github.com/Lightning-AI/pytorch-lightning FOLDER
    python -m benchmarks.lightning_tests FOLDER

Each group of tests runs twice, in a process of its own: as Lightning has them, and with classes of Descent in the place
of Lightning's (`replaced.py`). Nothing is fetched, and nothing is written into FOLDER. `counts.csv` has the counts of
each group, `differences.csv` the tests that fail only with Descent's classes, with the first line of the reason. Most
of these test what Descent does otherwise on purpose: names of files, arguments that it has not, what a resume refuses.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LIGHTNING_TESTS_REPLACE"  # read by `replaced.py`, whose import replaces classes

RESULTS = Path(__file__).parents[1] / "results" / "lightning_tests"
PROJECT = Path(__file__).parents[2]
TESTS = Path("tests") / "tests_pytorch"


@dataclass(frozen=True)
class Group:
    """Tests that concern one of our classes.

    Args:
        replaced: What `replaced.py` replaces.
        files: Files of tests, below `tests/tests_pytorch`.
    """

    replaced: str
    files: tuple[str, ...]


CALLBACKS = tuple(
    f"callbacks/test_model_checkpoint_{name}.py"
    for name in ("additional_cases", "edge_cases", "manual_opt", "step_interval_val_metric")
)
CHECKPOINTS = tuple(
    f"checkpointing/test_{name}.py"
    for name in ("model_checkpoint", "checkpoint_callback_frequency", "trainer_checkpoint", "torch_saving")
)
GROUPS = {
    "checkpoint": Group("checkpoint,io", (*CHECKPOINTS, *CALLBACKS)),
    "io": Group("io", (*CHECKPOINTS[2:], "plugins/test_checkpoint_io_plugin.py", "plugins/test_async_checkpoint.py")),
    "csv": Group("csv", ("loggers/test_csv.py",)),
    "cli": Group("parser", ("test_cli.py",)),
}


COUNTS = ("group", "tests", "passed", "failed", "passed with ours", "failed with ours", "failed only with ours")
ENDLESS = "test_last_global_step_saved"  # asks a mock whether a file exists, which says yes for ever


def outcomes(folder: Path, group: Group, replaced: str, timeout: int) -> dict[str, tuple[str, str]]:
    """Run a group; return outcome (`passed`, `failed`, `skipped`) and reason of each test."""
    tests = (folder / TESTS).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "benchmarks.lightning_tests.replaced",
            "--rootdir",
            tests,
        ]
        command += ["-p", "no:cacheprovider", "-c", os.devnull, f"--basetemp={scratch}/tests", f"--junitxml={report}"]
        command += [tests / file for file in group.files]
        path = os.pathsep.join([str(PROJECT), str(tests.parent)])
        environment = os.environ | {"PYTHONPATH": path, VARIABLE: replaced, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            list(map(str, command)), cwd=scratch, env=environment, capture_output=True, text=True, timeout=timeout
        )
        if not report.is_file():
            raise SystemExit(f"pytest wrote no report:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return dict(map(outcome, ET.parse(report).iter("testcase")))


def number(outcomes: dict[str, tuple[str, str]], kind: str) -> int:
    """Count the tests with an outcome."""
    return sum(result == kind for result, _ in outcomes.values())


def outcome(case: ET.Element) -> tuple[str, tuple[str, str]]:
    """Return name, outcome and reason of a test in pytest's report."""
    name = f"{case.get('classname', '').removeprefix('tests_pytorch.')}::{case.get('name')}"
    for tag, result in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        if (found := case.find(tag)) is not None:
            return name, (result, " ".join((found.get("message") or "").split())[:160])
    return name, ("passed", "")


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Write a CSV table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Run the groups, print and write the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lightning_tests", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="A checkout of Lightning's repository, at its release.")
    parser.add_argument("--groups", nargs="+", choices=sorted(GROUPS), default=sorted(GROUPS))
    parser.add_argument("--timeout", type=int, default=3600, help="Longest duration of a group, in seconds.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if not (args.folder / TESTS).is_dir():
        parser.error(f"{args.folder} has no {TESTS}: give a checkout of Lightning's repository.")
    counts: list[tuple[object, ...]] = []
    differences: list[tuple[object, ...]] = []
    for name in args.groups:
        group = GROUPS[name]
        theirs = outcomes(args.folder, group, "", args.timeout)
        ours = outcomes(args.folder, group, group.replaced, args.timeout)
        only = [test for test in ours if ours[test][0] == "failed" and theirs.get(test, ("", ""))[0] == "passed"]
        both = [number(run, kind) for run in (theirs, ours) for kind in ("passed", "failed")]
        counts.append((name, len(theirs), *both, len(only)))
        differences += [(name, test, ours[test][1]) for test in only]
        print(
            f"{name}: {len(theirs)} tests; Lightning's classes {both[0]} passed, {both[1]} failed; Descent's {both[2]} "
            f"passed, {both[3]} failed, {len(only)} of them only with Descent's",
            flush=True,
        )
        write_table(args.out / "counts.csv", COUNTS, counts)
        write_table(args.out / "differences.csv", ("group", "test", "reason"), differences)


if __name__ == "__main__":
    main()
