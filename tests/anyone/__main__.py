"""Put every style to every operation, and write the table into the documentation: `python -m tests.anyone`."""

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch

from tests.anyone.operations import OPERATIONS
from tests.anyone.styles import STYLES
from tests.anyone.table import DOCUMENT, outcome, write_table


def main() -> None:
    """Run the whole product; `python -m tests.anyone WORD …` only the styles whose names contain a word."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    chosen = [name for name in STYLES if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    found: dict[str, dict[str, str]] = {}
    only = [name for name in OPERATIONS if name in os.environ.get("ONLY", ",".join(OPERATIONS)).split(",")]
    for name in chosen:
        found[name] = {}
        for operation in only:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found[name][operation] = outcome(name, operation, Path(folder))
                except BaseException as error:
                    found[name][operation] = f"FAILS: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
                    print(f"{name} × {operation}: {found[name][operation]}", file=sys.stderr)
    failed = sum(cell.startswith("FAILS") for row in found.values() for cell in row.values())
    print(f"{len(found) * len(OPERATIONS)} combinations, {failed} failed", file=sys.stderr)
    if chosen == list(STYLES) and not failed:
        write_table(found)
        print(f"written: {DOCUMENT}", file=sys.stderr)
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
