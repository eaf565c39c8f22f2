"""Which group of runs was chosen on validation, and by which numbers."""

from mam_keras.report import wording
from mam_keras.report.blocks import Column, Missing, Section
from mam_keras.report.headlines import column, shown

TITLE = "Choice"


def section(view):
    found = view.found
    reading = (
        f"Everything here is measured on the validation images. Chosen is the run with the highest {_title(view)} "
        f"among those whose {column(found['accuracy']).title} is at most {100 * found['most_accuracy_lost']:.1f} "
        "points under the baseline's; what it is worth is said in the other sections, on test images, on which nothing "
        f"was chosen. Localisation: the share of a map that lies in the {view.noun}'s region, over the region's share "
        f"of the image; mean over the {view.several} with a small region. Under noise: the mean over the sigmas."
    )
    blocks = [] if view.chosen else [Missing(_why_none(view))]
    measures = dict.fromkeys(measure for one in view.done for measure in one["validation"])
    told = {one["group"]: "yes" if one["aided"] else "no" for one in view.groups}
    could = {
        one["group"]: "yes" if one["group"] in found["eligible"] else "loses too much accuracy" for one in view.groups
    }
    further = (Column("told where in training"), told), (Column("could be chosen"), could)
    blocks += view.tables("choice", "on the validation images", [("validation", m) for m in measures], *further)
    return Section("choice", TITLE, "", reading, tuple(blocks), tuple(_summary(view)))


def _title(view):
    return column(view.found["choose_by"]).title


def _why_none(view):
    return (
        f"Nothing was chosen: no run that could be has {_title(view)} on the validation images. Where no regions "
        "are known, choose_by: accuracy chooses all the same."
    )


def _summary(view):
    if view.chosen is None:
        yield _why_none(view)
        return
    by = view.found["choose_by"]
    chosen, baseline = (one["validation"].get(by, [None])[0] for one in (view.chosen, view.baseline))
    text = (
        f"{len(view.found['eligible'])} of {wording.count(len(view.groups), 'setting')}, the baseline "
        f"{view.found['baseline']} among them, lose at most {100 * view.found['most_accuracy_lost']:.1f} points of "
        f"validation accuracy against it. Of these {view.found['chosen']} has the highest {_title(view)} on "
        f"validation: {shown(by, chosen)}"
    )
    if view.chosen is view.baseline:
        yield f"{text}: the baseline itself, so that no change was worth it."
        return
    yield f"{text} (baseline {shown(by, baseline)})."
    if view.chosen["aided"]:
        yield _aid(view)
    own, other = (one["validation"].get("localised", [None])[0] for one in (view.chosen, view.baseline))
    if by == "localisation" and None not in (own, other) and own != other:
        yield (
            f"These are means over {own:g} {view.several} of {view.found['chosen']} and {other:g} of "
            f"{view.found['baseline']}: each run localises what it finds."
        )


def _aid(view):
    text = (
        f"{view.found['chosen']} was told in training where maps should lie: that they lie there is what it was "
        "trained for, and no evidence that others would."
    )
    if view.unaided is None:
        return text
    by = view.found["choose_by"]
    best = shown(by, view.unaided["validation"][by][0])
    return f"{text} Of those that were not told, {view.found['unaided']} has the highest {_title(view)}, {best}."
