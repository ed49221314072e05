"""Run generated mistakes and print what is wrong with the answers: `python -m tests.fuzz CASES [SEED]`."""

import itertools
import sys
import time
from collections import Counter

from tests.fuzz.cases import Case, cases
from tests.fuzz.judge import faults, run, wrong_when_applied
from tests.fuzz.warm import warmed


def judged(case: Case, codes: Counter[int]) -> str:
    """Run a case; return what is wrong with its answer, or an empty text."""
    code, said, left = run(case)
    codes[code] += 1
    found = [*faults(case, code, said, left), *wrong_when_applied(case, said)]
    return (
        f"{' '.join(case.words)} {case.file or ''!r}\n    {'; '.join(found)}\n    {said.strip()[-700:]}"
        if found
        else ""
    )


def main(count: int, seed: int) -> int:
    """Run `count` cases; return how many have a fault."""
    wrong, codes = 0, Counter[int]()
    start = time.perf_counter()
    with warmed():
        for case in itertools.islice(cases(seed), count):
            if text := judged(case, codes):
                wrong += 1
                print(f"[{case.kind}] {text}", flush=True)
    took = time.perf_counter() - start
    print(f"{wrong} of {count} cases with a fault; exit codes {dict(codes)}; {took / count:.2f} s a case")
    return wrong


if __name__ == "__main__":
    raise SystemExit(min(1, main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
