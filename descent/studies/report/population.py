"""What a verdict is about: new trainings on the images that were tested, and what changes on new images."""

from typing import Literal

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.new_images import all_recorded, tested_runs
from descent.studies.report.verdict import decided
from descent.studies.running.stages import FINAL
from descent.studies.running.tested import Tested

ABOUT = "This verdict is about new training runs"


def population(analysis: StudyAnalysis) -> str:
    """Say which population the verdict is about, as far as it was recorded; nothing if there is no verdict."""
    if not analysis.pairs:
        return ""
    if analysis.metric == analysis.config.metric:
        split = ", of which every round has another split" if analysis.config.split_key else ""
        return f"{ABOUT}, judged on the study's validation data{split}; new data may move the values further."
    if not all_recorded(analysis, analysis.compared):
        return (
            f"{ABOUT}, tested on the study's test data. Not every run recorded its test samples; new ones may move the "
            "values further."
        )
    records = tested_runs(analysis, analysis.compared)
    noun = "images" if all(len(record["shape"]) == 3 for record in records) else "samples"
    return _on_the_same(analysis, records, noun) if _same(analysis, "digest") else _on_others(analysis, noun)


def _on_the_same(analysis: StudyAnalysis, records: list[Tested], noun: str) -> str:
    sizes = {record["samples"] for record in records}
    these = f"these {sizes.pop()} {noun}" if len(sizes) == 1 else f"the test {noun} of each candidate"
    if analysis.new_images.keys() != analysis.pairs.keys():
        return f"{ABOUT}, tested on {these}; how new {noun} would move {analysis.metric} is not in the intervals."
    found = decided(analysis, analysis.new_images)
    same = found == decided(analysis, analysis.pairs)
    then = f"On new {noun} of the same kind" + (" the same holds" if same else f": {found}")
    return f"{ABOUT}, tested on {these}. {then}."


def _on_others(analysis: StudyAnalysis, noun: str) -> str:
    """Say of runs with different inputs what their targets tell, which random preprocessing does not change."""
    if _new_in_each_round(analysis):
        return f"{ABOUT}, in every round tested on other {noun}: the choice of the {noun} is in the intervals."
    if _same(analysis, "targets"):
        return f"{ABOUT}. The test inputs differ from run to run; whether their {noun} do was not recorded."
    return (
        f"The test {noun} changed during the study, and the verdict is about none of its test sets alone: repeat it in "
        "a new folder (--out)."
    )


def _same(analysis: StudyAnalysis, what: Literal["digest", "targets"]) -> bool:
    """Tell whether each candidate had the same test inputs or targets in all runs."""
    return all(len({r[what] for r in tested_runs(analysis, [name])}) == 1 for name in analysis.compared)


def _new_in_each_round(analysis: StudyAnalysis) -> bool:
    """Tell whether no two rounds of a candidate have the same test targets."""
    for name in analysis.compared:
        of_round: dict[int, set[str]] = {}
        for index, outcome in analysis.of(FINAL, name).items():
            if record := outcome.get("tested"):
                of_round.setdefault(index // analysis.config.final_runs, set()).add(record["targets"])
        targets = [found for round_ in of_round.values() for found in round_]
        if len(targets) != len(set(targets)):
            return False
    return True
