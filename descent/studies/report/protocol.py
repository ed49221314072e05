"""How a study was run, and how its page is to be read: two lists of sentences, checked against the study."""

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.scale import Scale, enumerate_names
from descent.studies.statistics.sequential_test import looks_of


def protocol(analysis: StudyAnalysis) -> list[str]:
    """Say how the study was run."""
    config = analysis.config
    searched = ", ".join(f"{key} (default ÷ {f:g} to × {f:g})" for key, f in config.search.items()) or "nothing"
    if analysis.trials > 1:
        tuning = (
            f"Tuned: {searched}, {analysis.trials} trials each, log-uniform and quasi-random around each candidate's "
            "own default; if the best value was at the edge of the range, the last third of the trials went beyond it. "
        )
        tuning += (
            "Every round has a tuning of its own, with other points, seeds and, if the data has one, validation split."
            if config.tuned_in_rounds
            else "There was one tuning; the rounds repeat the settings that it chose."
        )
        if config.stop_trials:
            stopped, trials = analysis.stopped
            tuning += (
                f" {stopped} of {trials} trials were stopped after half of their validations, since an earlier trial "
                "of the same tuning was far ahead of them there."
            )
    else:
        tuning = "Nothing was tuned: every candidate ran with its own default."
    split = "another validation split" if config.split_key else "the same validation split"
    runs = f"{config.final_runs} final run{'s' * (config.final_runs > 1)} per candidate"
    looked = enumerate_names([str(n) for n in looks_of(analysis.rounds, analysis.seeds)])
    return [
        tuning,
        f"A tuning chooses the trial with the best {config.metric} at the end of the run.",
        f"At most {analysis.seeds} rounds, of which {analysis.rounds} were run: {runs} and round, with new seeds, the "
        f"same for all candidates{_same(analysis)}, and {split}.",
        f"Looks at the results after {looked} rounds; a candidate that is decided against all others that can still be "
        "best needs no further rounds.",
        f"Judged by {analysis.metric}"
        + (", computed once at the end of each final run." if analysis.metric != analysis.config.metric else "."),
        "Runs of the candidates alternated. Validation is not timed, and only runs on an otherwise idle machine are.",
    ]


def _same(analysis: StudyAnalysis) -> str:
    """Say what was checked to be the same in runs with the same seed."""
    checked = zip(("initial weights", "first batch"), analysis.pairing(), strict=True)
    same = [what for what, equal in checked if equal]
    return f" (checked to be the same: {' and '.join(same)})" if same else ""


def how_to_read(analysis: StudyAnalysis) -> list[str]:
    """Explain the columns and figures to a reader who has had one course of statistics."""
    scale, config = Scale(analysis.metric), analysis.config
    what = (
        f"a candidate whose values are tuned anew with {analysis.trials} trials, then trained once"
        if config.tuned_in_rounds
        else "a candidate with the settings of this study, trained once"
    )
    lines = [
        f"The question is what to expect of {what}. The interval of a mean is that of one candidate alone.",
        f"“against {config.baseline}” is the mean difference per round; its interval decides. All such intervals, of "
        "every pair and after every round, have a joint confidence of 95 %.",
        f"better or worse: the interval excludes 0. equal: it lies within ±{scale.difference(analysis.delta)}, the "
        "largest difference that does not matter (smallest_difference). undecided: neither; more rounds may tell.",
        "Two candidates share a letter in “ties” unless one was found better.",
        "P(better) is the probability that one run has a better score than the baseline's run with the same seed, with "
        "its own 95 % interval. At 0.5 neither is better, even if the means differ.",
        f"Target: the median of {', '.join(config.targets)} at the end of the run, by {config.metric}.",
    ]
    if analysis.new_images:
        lines.insert(
            3,
            "“on new images” asks about other test images of the same kind. Its interval also contains the spread over "
            "images (rounds and images as crossed random effects); the decisions are those on these images.",
        )
    if any(pair.settings is not None for pair in analysis.pairs.values()):
        lines.insert(
            3,
            "“with these settings” asks about the settings that were chosen in this study's rounds; the variation of "
            "tuning is not in that interval (95 % for this pair alone).",
        )
    return lines
