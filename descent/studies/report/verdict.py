"""The verdict of a study: sentences that each follow from the decision on a pair."""

from collections.abc import Mapping

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.pairs import Pair, Pairs, tie_letters
from descent.studies.report.scale import Scale, enumerate_names
from descent.studies.statistics.group_sequential import LEAST


def verdict(analysis: StudyAnalysis) -> str:
    """Say which candidates are best, how far the others are behind, and which cannot be told apart."""
    failed = [name for name in analysis.config.names if name not in analysis.compared]
    if not analysis.pairs:
        return no_verdict(analysis, failed)
    parts = [decided(analysis, analysis.pairs)]
    if failed:
        parts.append(f"{enumerate_names(failed)}: not ranked, since fewer than two final runs have a score")
    return f"{scope(analysis)}: {'; '.join(parts)}."


def decided(analysis: StudyAnalysis, pairs: Pairs) -> str:
    """Say what was decided on these pairs of all compared candidates."""
    letters = tie_letters([name for name in analysis.ranking if name in analysis.compared], pairs)
    top = unbeaten(letters, pairs)
    behind = [_behind(analysis, pairs, top, name) for name in letters if name not in top]
    return "; ".join([*_top(analysis, pairs, top), *behind])


def scope(analysis: StudyAnalysis) -> str:
    """Say what the verdict is about: the settings that were chosen, or the candidates with a budget of tuning."""
    if analysis.config.tuned_in_rounds:
        return f"With a budget of {analysis.trials} tuning trials"
    if analysis.trials > 1 and any(analysis.config.search_of(name) for name in analysis.config.names):
        return "With the settings that one tuning chose"
    return "With the candidates' own settings"


def no_verdict(analysis: StudyAnalysis, failed: list[str]) -> str:
    """Say why there is no verdict."""
    if analysis.rounds < min(LEAST, analysis.seeds) and len(analysis.progress.scored()) > 1:
        rounds = f"{analysis.rounds} round{'s' * (analysis.rounds != 1)}"
        return f"No verdict: the time ended after {rounds}, and a verdict needs at least {LEAST}."
    if len(analysis.compared) < 2:
        return f"No verdict: fewer than two candidates have final runs to compare ({enumerate_names(failed)} failed)."
    return (
        f"No verdict: a pair of candidates needs {LEAST} seeds with which both have a score, and none has them. "
        "Increase seeds."
    )


def unbeaten(letters: Mapping[str, str], pairs: Pairs) -> list[str]:
    """List the candidates that none was found better than, the best mean first."""
    return [name for name in letters if not any(p.decision == "worse" for (a, _), p in pairs.items() if a == name)]


def _value(analysis: StudyAnalysis, name: str) -> str:
    return f"{name} ({Scale(analysis.metric).value(analysis.mean(name))})"


def _top(analysis: StudyAnalysis, pairs: Pairs, top: list[str]) -> list[str]:
    if len(top) == 1:
        ahead = all(pair.decision == "better" for (name, _), pair in pairs.items() if name == top[0])
        value = f"at {Scale(analysis.metric).value(analysis.mean(top[0]))} of {analysis.metric}"
        return [f"{top[0]} is best, {value}" if ahead else f"none was found better than {top[0]}, {value}"]
    ties = [pairs[a, b] for i, a in enumerate(top) for b in top[i + 1 :]]
    equal = [pair for pair in ties if pair.decision == "equal"]
    others = [pair for pair in ties if pair.decision != "equal"]
    names = enumerate_names([_value(analysis, name) for name in top])
    if not others:
        return [f"{names} are practically equal in {analysis.metric}: {_largest(analysis, equal)}"]
    if not equal:
        return [f"{names} cannot be told apart in {analysis.metric}: {_largest(analysis, others)}"]
    return [
        f"of {names} none was found better than another in {analysis.metric}: {_pairs(others, ties)} cannot be told "
        f"apart ({_largest(analysis, others)}); {_pairs(equal, ties)} are practically equal "
        f"({_largest(analysis, equal)})"
    ]


def _pairs(some: list[Pair], ties: list[Pair]) -> str:
    """Name some of the pairs, or count them if they are many."""
    if len(some) > 3:
        return f"{len(some)} of the {len(ties)} pairs"
    return ", ".join(f"{pair.name} and {pair.other}" for pair in some)


def _largest(analysis: StudyAnalysis, pairs: list[Pair]) -> str:
    """Give the largest difference of these pairs with its interval."""
    return _difference(analysis, max(pairs, key=lambda pair: abs(pair.mean)), len(pairs))


def _difference(analysis: StudyAnalysis, pair: Pair, of: int = 1) -> str:
    scale = Scale(analysis.metric)
    larger = pair if pair.mean >= 0 else pair.reversed()
    within = f", within ±{scale.difference(analysis.delta)}" if pair.decision == "equal" else ""
    which = f"the largest difference, {larger.name} − {larger.other}," if of > 1 else f"{larger.name} − {larger.other}"
    return f"{which} is {scale.interval(larger.mean, larger.low, larger.high)}{within}{_remarks(analysis, pair)}"


def _remarks(analysis: StudyAnalysis, pair: Pair) -> str:
    """Say over which rounds a difference is, where it is not that of the two means."""
    most = max(len(analysis.block_means(name)) for name in (pair.name, pair.other))
    parts = [f"over the {pair.rounds} rounds that both have"] if most > pair.rounds else []
    parts += ["without rounds in which a run diverged or collapsed"] if pair.without_failed else []
    return "".join(f", {part}" for part in parts)


def _behind(analysis: StudyAnalysis, pairs: Pairs, top: list[str], name: str) -> str:
    scale = Scale(analysis.metric)
    ahead = [other for other in analysis.ranking if (p := pairs.get((other, name))) and p.decision == "better"]
    leader = next((other for other in ahead if other in top), ahead[0])
    pair = pairs[leader, name] if analysis.config.larger_is_better else pairs[name, leader]
    behind = f"{_value(analysis, name)} is {scale.interval(pair.mean, pair.low, pair.high)} behind"
    if len(top) > 1 or leader not in top:
        behind += f" {leader}"
    open_ = [other for other in top if pairs[other, name].decision == "undecided"]
    equal = [other for other in top if pairs[other, name].decision == "equal"]
    if open_:
        behind += f" and cannot be told from {enumerate_names(open_)}"
    if equal:
        behind += f" and is practically equal to {enumerate_names(equal)}"
    return behind + _remarks(analysis, pair)
