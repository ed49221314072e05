"""Run generated mistakes and print what is wrong with the answers: `python -m tests.fuzz CASES [SEED]`."""

import itertools
import sys
from collections import Counter

from foundation.compat.lightning_messages import quiet
from tests.fuzz.cases import cases
from tests.fuzz.judge import faults, run


def main(count: int, seed: int) -> int:
    """Run `count` cases; return how many have a fault."""
    quiet()
    wrong, codes = 0, Counter[int]()
    for case in itertools.islice(cases(seed), count):
        code, said, left = run(case)
        codes[code] += 1
        if found := faults(case, code, said, left):
            wrong += 1
            print(
                f"{' '.join(case.words)} {case.file or ''!r}\n    {'; '.join(found)}\n    {said.strip()[-300:]}",
                flush=True,
            )
    print(f"{wrong} of {count} cases with a fault; exit codes {dict(codes)}")
    return wrong


if __name__ == "__main__":
    raise SystemExit(min(1, main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
