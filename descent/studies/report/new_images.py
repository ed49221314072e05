"""The pairs of a study once more, on new test images of the same kind instead of the images that were tested."""

from collections.abc import Iterable

import numpy as np

from descent.studies.report.pairs import Pair, Pairs, pairs_of
from descent.studies.running.decisions import ALPHA, RoundDecisions
from descent.studies.running.one_run import DONE
from descent.studies.running.stages import FINAL
from descent.studies.running.tested import Tested, unpacked
from descent.studies.statistics.counts import resolution
from descent.studies.statistics.intervals import Floats
from descent.studies.statistics.new_images import image_error
from descent.studies.statistics.sequential_test import decide, failed_rounds


def decide_on_new_images(study: RoundDecisions, pairs: Pairs) -> dict[tuple[str, str], Pair]:
    """Decide the pairs of which the answers to each image are known, with the choice of the images in the interval.

    Left out are pairs whose metric is not the share of right answers, of which a candidate was tested on different
    images, or which have fewer than two rounds with answers.

    Args:
        study: The study.
        pairs: The pairs as decided on the images that were tested.
    """
    if study.decisions is None or not pairs:
        return {}
    failed = dict(zip(study.compared, failed_rounds(study.round_scores.runs), strict=True))
    answers = {
        name: {number: right for number, right in right_shares(study, name).items() if not failed[name][number]}
        for name in study.compared
    }
    names = [(study.compared[i], study.compared[j]) for i, j in study.decisions.pairs]
    errors = np.array([_image_error(answers[a], answers[b]) for a, b in names])
    usable = ~np.isnan(errors)
    if not usable.any():
        return {}
    scores = study.round_scores
    most = max(study.seeds, study.rounds)
    wider = decide(
        scores.means,
        most,
        study.delta,
        ALPHA,
        resolution(scores.runs),
        image_errors=np.where(usable, errors, 0.0),
        runs=scores.runs,
    )
    found = pairs_of(scores, wider, study.config.larger_is_better)
    known = {key for key, use in zip(names, usable.tolist(), strict=True) if use}
    return {(a, b): pair for (a, b), pair in found.items() if known & {(a, b), (b, a)}}


def right_shares(study: RoundDecisions, name: str) -> dict[int, Floats]:
    """Return for each round in how many of a candidate's final runs each test image is classified rightly, as a share.

    It is empty if the images are not the same in all of them, or not every run has recorded its images.

    Shape:
        Each `(images,)`.
    """
    by_round: dict[int, list[Floats]] = {}
    for index, outcome in study.of(FINAL, name).items():
        value = study.judged(outcome)
        right = None if value is None else unpacked(outcome.get("tested"), value)
        if right is not None:
            by_round.setdefault(index // study.config.final_runs, []).append(right.astype(np.float64))
    if len({record["digest"] for record in tested_runs(study, [name])}) != 1 or not all_recorded(study, [name]):
        return {}
    return {number: np.mean(runs, axis=0) for number, runs in by_round.items() if len(runs) == study.config.final_runs}


def tested_runs(study: RoundDecisions, names: Iterable[str]) -> list[Tested]:
    """List the records of the tests of all final runs of these candidates that have one."""
    return [outcome["tested"] for name in names for outcome in study.final(name) if outcome.get("tested")]


def all_recorded(study: RoundDecisions, names: Iterable[str]) -> bool:
    """Tell whether all final runs of these candidates that have a score have a record of their test."""
    return all(outcome.get("tested") for name in names for outcome in study.final(name) if outcome["status"] == DONE)


def _image_error(answers: dict[int, Floats], others: dict[int, Floats]) -> float:
    shared = sorted(answers.keys() & others.keys())
    if len(shared) < 2 or len(answers[shared[0]]) != len(others[shared[0]]) or len(answers[shared[0]]) < 2:
        return float("nan")
    return image_error([answers[number] - others[number] for number in shared])
