"""The folder of a study: it goes again if a mistake ends the study before one of its runs is done."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import DONE
from foundation.errors import UserError


@contextmanager
def kept_if_a_run_is_done(folder: Path) -> Iterator[list[Ledger]]:
    """Make a study's folder; remove it if a mistake ends the study, no run is done and no other worker shares it.

    Otherwise the mended study would be refused: it was "started with another value". Of a folder that was there before,
    only the storage goes, if that is new.

    Args:
        folder: The folder.

    Yields:
        A list to which the study's ledger is added once there is one.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    storage = [folder / name for name in ("study.db", "study.lock")]
    new = [file for file in storage if not storage[0].exists()]
    ledgers: list[Ledger] = []
    try:
        yield ledgers
    except (UserError, OSError):
        if not all(ledger.serverless and _is_unused(ledger) for ledger in ledgers):
            raise
        for file in new:
            file.unlink(missing_ok=True)
        if made:
            shutil.rmtree(folder, ignore_errors=True)
            for above in made[1:]:
                if not any(above.iterdir()):
                    above.rmdir()
        raise


def _is_unused(ledger: Ledger) -> bool:
    outcomes = ledger.outcomes().values()
    return len(ledger.workers()) < 2 and not any(outcome["status"] == DONE for outcome in outcomes)
