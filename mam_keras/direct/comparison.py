"""Did directing help? The run before, the directed one and its control, on the validation images. Knows no page."""

import datetime

import numpy as np

from mam_keras import records
from mam_keras.analysis import gains, groups
from mam_keras.analysis.result import Unavailable
from mam_keras.direct.looking import covered
from mam_keras.report import verdicts
from mam_keras.report.verdicts import Verdict
from mam_keras.statistics import Estimate, ratio

MOST_LOST = 5  # of the attributes that were not directed, those named


def accuracies(runs, split, directed) -> dict:
    """Accuracy of every attribute on a split, of {name: `TrainedRun`}.

    Returns:
        {"means": {run: mean over the attributes that were not directed, None without any}, "lost": [{"name", run:
        accuracy}] of the `MOST_LOST` of them that lost most, those alone that lost anything}.
    """
    names = next(iter(runs.values())).attributes
    found = {}
    for name, run in runs.items():
        answers = run.predictions(split)
        right = (answers.answers(answers.main_head) == answers.labels) & answers.known
        found[name] = ratio(right.sum(axis=0), answers.known.sum(axis=0))
    others = [k for k, name in enumerate(names) if name not in directed and not np.isnan(found["before"][k])]
    change = found["directed"] - found["before"]
    lost = sorted((k for k in others if change[k] < 0), key=lambda k: change[k])[:MOST_LOST]
    return {
        "others": len(others),
        "means": {name: float(values[others].mean()) if others else None for name, values in found.items()},
        "lost": [{"name": names[k]} | {name: float(values[k]) for name, values in found.items()} for k in lost],
    }


def four_groups(runs, split, attribute, other) -> dict | None:
    """How each run is right about an attribute with and without another one (`analysis.groups`, `analysis.gains`).

    Returns:
        {"groups": [{"words", "count", run: [value, low, high]}], "worst": {run: [value, low, high]}, "balanced":
        likewise, "ahead": {run: [value, low, high]}, the directed run's worst group less that of each other run, in
        pairs}; None where there is nothing to compare.
    """
    found = {}
    for name, run in runs.items():
        asked = run.config.analysis.model_copy(update={"pairs_of_attributes": ((attribute, other),)})
        run.config = run.config.model_copy(update={"analysis": asked})
        try:
            found[name] = groups.compute(run, split).arrays
        except Unavailable:
            return None
    ahead = {
        name: gains.compute(runs["directed"], split, run).arrays["worst"][0, 0]
        for name, run in runs.items()
        if name != "directed"
    }
    words = groups.words(attribute, other)
    count = found["before"]["count"][0].tolist()
    return {
        "groups": [
            {"words": words[place], "count": count[place]}
            | {name: _plain(arrays["group"][0, 0, place]) for name, arrays in found.items()}
            for place in range(len(words))
        ],
        "worst": {name: _plain(arrays["worst"][0, 0]) for name, arrays in found.items()},
        "balanced": {name: _plain(arrays["balanced_accuracy"][0, 0]) for name, arrays in found.items()},
        "ahead": {name: _plain(numbers) for name, numbers in ahead.items()},
    }


def energies(maps, regions) -> dict:
    """The mean share of maps' energy within the regions, None without any: {run: maps (n, H, W)} -> {run: share}."""
    shares = {name: covered(one, regions) for name, one in maps.items()}
    return {name: None if np.isnan(one).all() else float(np.nanmean(one)) for name, one in shares.items()}


def judged(attribute, energy, found) -> list[str]:
    """What the figures say of one attribute, a sentence each: no gain, where none is measured or the control has it."""
    said = []
    if None not in energy.values():
        shares = {name: f"{100 * value:.0f} %" for name, value in energy.items()}
        said.append(
            f"{shares['directed']} of the map's energy is in the region; {shares['before']} before, "
            f"{shares['control']} fine-tuned without it."
        )
    worst = {} if found is None else {name: Estimate(*values) for name, values in found["worst"].items()}
    if not worst or any(one.value is None for one in worst.values()):
        return said
    text = {name: f"{100 * one.value:.1f} %" for name, one in worst.items()}
    said.append(
        f"In the worst of the four groups {text['directed']} of the answers for {attribute} are right; "
        f"{text['before']} before, {text['control']} fine-tuned without the region."
    )
    ahead = {name: verdicts.verdict(Estimate(*numbers)) for name, numbers in found["ahead"].items()}
    if ahead["before"] is not Verdict.BETTER:
        said.append("These images show no gain there for sure.")
    elif ahead["control"] is not Verdict.BETTER:
        said.append("The same fine-tuning without the region does as well there, as far as these images can tell.")
    return said


def seconds(run) -> int | None:
    """What a run's training took; None where it does not say."""
    said = records.environment(run.directory) or {}
    if not said.get("start") or not said.get("end"):
        return None
    start, end = (datetime.datetime.fromisoformat(said[name]) for name in ("start", "end"))
    return round((end - start).total_seconds())


def _plain(numbers):
    return [None if np.isnan(number) else float(number) for number in numbers]
