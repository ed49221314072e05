"""Who ties with whom."""

from collections.abc import Sequence

from studies.differences import PairwiseTests


def tie_groups(means: Sequence[float], tests: PairwiseTests, larger_is_better: bool, alpha: float = 0.05) -> list[str]:
    """Letters of the groups of ties of each candidate: two that share a letter are not told apart.

    Groups are runs of neighbours in the order of the means, as long as nobody in them differs from anybody else. One
    candidate may stand in several groups: with A ~ B and B ~ C but A > C, B is in both.

    Args:
        means: One a candidate.
        tests: Of the same candidates, one study.
        larger_is_better: Whether group `a` is that of the largest mean.
        alpha: Corrected p-values below are differences.

    Returns:
        For each candidate letters such as `"a"` or `"ab"`; `a` is the best group.

    Example:
        >>> from studies.differences import all_pairs
        >>> scores = [[9.0, 9.2, 9.1, 9.3], [9.1, 9.1, 9.2, 9.2], [5.0, 5.2, 5.0, 5.1]]
        >>> tie_groups([9.15, 9.15, 5.08], all_pairs(scores), larger_is_better=True)
        ['a', 'a', 'b']
    """
    different = {frozenset(pair) for pair, p in zip(tests.pairs, tests.corrected.tolist(), strict=True) if p < alpha}
    order = sorted(range(len(means)), key=lambda i: means[i], reverse=larger_is_better)
    groups: list[list[int]] = []
    for start in range(len(order)):
        group: list[int] = []
        for candidate in order[start:]:
            if any(frozenset((candidate, member)) in different for member in group):
                break
            group.append(candidate)
        if not any(set(group) <= set(other) for other in groups):
            groups.append(group)
    letters = ["" for _ in means]
    for index, group in enumerate(groups):
        for candidate in group:
            letters[candidate] += chr(ord("a") + index)
    return letters
