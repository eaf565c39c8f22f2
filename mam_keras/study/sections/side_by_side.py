"""All settings beside each other, a column for each, and which of them is best for whom."""

from mam_keras.report import wording
from mam_keras.report.blocks import Column, Missing, Section, Table
from mam_keras.report.headlines import column, shown
from mam_keras.report.verdicts import Verdict
from mam_keras.study.best import lowest
from mam_keras.study.seeds import LEAST

TITLE = "Side by side"
_BESIDE = ("_seen", "_grad_cam", "_blob", "_positions")  # a map's own measure, and are compared with nothing
_WHO = (  # measures, of which the first that was measured is asked; and for whom it is
    (("top1", "accuracy"), "For the most right answers"),
    (("balanced_accuracy",), "Where the rare answer counts as much as the common one"),
    (("calibration_error",), "Where probabilities are read as such"),
    (("localisation_parts", "localisation"), "For maps that lie where the {noun} is"),
    (("deletion",), "For maps that mark what the answer needs"),
    (("automatic_sigma_0.2", "automatic_sigma_0.1"), "Under noise that nobody announces"),
    (("answering_ms",), "For the least time"),
)


def section(view):
    reading = (
        f"Means over the seeds on the test images, without their intervals, which stand in the sections below. A star "
        f"marks the best mean, and every one that is not measurably behind it over at least {LEAST} seeds."
    )
    measures = [m for m in dict.fromkeys(m for one in view.groups for m in one["test"]) if _tabulated(m)]
    if not view.found["best"]:
        blocks = [Missing(f"Nobody can say which is best: that takes two settings of at least {LEAST} seeds each.")]
        return Section("side-by-side", TITLE, "", reading, tuple(blocks))
    columns = (Column("on the test images"), *(Column(view.name(one)) for one in view.groups))
    rows = tuple((_title(measure), *(_cell(view, one, measure) for one in view.groups)) for measure in measures)
    note = (
        "Intervals of a difference are 95 % (Student's t), paired by the seed, and not corrected for how many settings "
        "are compared."
    )
    table = Table("side-by-side", "What every setting measures, in the mean over its seeds.", columns, rows, note)
    return Section("side-by-side", TITLE, "", reading, (table,), tuple(_summary(view)))


def _tabulated(measure):
    return lowest(measure) is not None or measure == "parameters" or measure.endswith(_BESIDE)


def _title(measure):
    pair = measure.split(":")[1:]
    return f"{column(measure).title}: {pair[0]} beside {pair[1]}" if pair else column(measure).title


def _cell(view, group, measure):
    value = group["test"].get(measure, [None])[0]
    if value is None:
        return None
    best = view.found["best"].get(measure)
    return shown(measure, value) + (" *" if best and group["group"] in (best["first"], *best["alike"]) else "")


def _summary(view):
    told = {one["group"] for one in view.groups if one["aided"]}
    pairs = [
        ((":".join(("worst_group", *pair)),), f"For {pair[0]} whatever {pair[1]} is") for pair in view.found["pairs"]
    ]
    for measures, who in (*_WHO, *pairs):
        measure = next((m for m in measures if m in view.found["best"]), None)
        if measure is None:
            continue
        best, who = view.found["best"][measure], who.format(noun=view.noun)
        yield f"{who}: {_of(view, measure, best, 'which was told where it is, ' if best['first'] in told else '')}."
        unaided = view.found["best_unaided"].get(measure)
        if measure.startswith("localisation") and best["first"] in told and unaided:
            yield f"Of those that nobody told where the {view.noun} is: {_of(view, measure, unaided)}."


def _of(view, measure, best, aside=""):
    by_name = {one["group"]: one for one in view.groups}

    def said(name, m=measure):
        return shown(m, by_name[name]["test"][m][0])

    text = f"{best['first']}, {aside}with {'the lowest' if lowest(measure) else 'the highest'} {column(measure).title}"
    text += f", {said(best['first'])}"
    if not best["alike"]:
        return f"{text}, {Verdict.BETTER.value} every other over {wording.count(best['shared'], 'seed')}"
    alike = ", ".join(f"{name} ({said(name)})" for name in best["alike"])
    text += f"; {Verdict.ALIKE.value} it over {wording.count(best['shared'], 'seed')}: {alike}"
    if best["cheapest"] is None or measure.endswith("_ms"):
        return text
    return f"{text}. Of these {best['cheapest']} answers fastest ({said(best['cheapest'], 'answering_ms')} ms an image)"
