"""Run generated mistakes and print what is wrong with the answers: `python -m tests.fuzz CASES [SEED [KIND...]]`."""

import itertools
import os
import sys
import time
from collections import Counter

from tests.fuzz.case import Case
from tests.fuzz.cases import cases
from tests.fuzz.judge import faults, wrong_when_applied
from tests.fuzz.process import run
from tests.fuzz.warm import warmed

SHOW_ACCEPTED = bool(os.environ.get("SHOW_ACCEPTED"))
"""Whether to print also the cases that a command accepts."""


def judged(case: Case, codes: Counter[int]) -> str:
    """Run a case; return what is wrong with its answer, or an empty text."""
    code, said, left = run(case)
    codes[code] += 1
    found = [*faults(case, code, said, left), *wrong_when_applied(case, said)]
    if not found and code == 0 and SHOW_ACCEPTED:
        print(f"accepted: [{case.kind}] {' '.join(case.words[:2])} … {case.words[-1]} {case.file or ''!r}", flush=True)
    return (
        f"{' '.join(case.words)} {case.file or ''!r}\n    {'; '.join(found)}\n    {said.strip()[-700:]}"
        if found
        else ""
    )


def main(count: int, seed: int, kinds: tuple[str, ...] = ()) -> int:
    """Run `count` cases, of some kinds only if they are given; return how many have a fault."""
    wrong, tried, codes = Counter[str](), Counter[str](), Counter[int]()
    start = time.perf_counter()
    with warmed():
        for number, case in enumerate(itertools.islice(cases(seed, kinds), count)):
            tried[case.kind] += 1
            if text := judged(case, codes):
                wrong[case.kind] += 1
                print(f"[{case.kind} {number}] {text}", flush=True)
    took = time.perf_counter() - start
    counts = ", ".join(f"{kind} {wrong[kind]} of {number}" for kind, number in sorted(tried.items()))
    print(
        f"{wrong.total()} of {count} cases with a fault ({counts}); exit codes {dict(codes)}; {took / count:.2f} s a case"
    )
    return wrong.total()


if __name__ == "__main__":
    raise SystemExit(min(1, main(int(sys.argv[1]), int((*sys.argv, "0")[2]), tuple(sys.argv[3:]))))
