"""What each run does about an attribute that takes another one for itself: groups, regions, toggling, and the cost."""

from mam_keras.report import wording
from mam_keras.report.blocks import Missing, Section
from mam_keras.study.view import estimate

TITLE = "Directed attributes"


def section(view):
    reading = (
        "Of a pair, an attribute and another one that came with it in training: accuracy in the four groups of test "
        "images that have both, one or neither, and the worst of them; E1 and E2 of 1905.00593 are of positive images "
        "alone, so that any shift of the logit raises both. Offset fitted: the same run with one number added to the "
        "attribute's logit, fitted on validation, which is the rival that costs nothing. All others: every attribute "
        "that no pair begins with."
    )
    blocks, summary = [], []
    for number, pair in enumerate(view.found["pairs"], 1):
        parts = [("test", m) for m in view.measures("directing") if m.split(":", 1)[1] == ":".join(pair)]
        if parts:
            blocks += view.tables(f"directing-{number}", f"on {pair[0]}, the other being {pair[1]}", parts)
            summary += _summary(view, pair)
    if not blocks:
        blocks.append(Missing("No pair of attributes is named (analysis.pairs_of_attributes)."))
    return Section("directing", TITLE, "", reading, tuple(blocks), tuple(summary))


def _summary(view, pair):
    """Of every group of runs but the baseline, those of one verdict together."""
    for measure, what in (("worst_group", "the worst of the four groups"), ("apart", "where the two differ")):
        measure, said = ":".join((measure, *pair)), {}
        values = {one["group"]: estimate(view.found_of(one)["test"].get(measure)) for one in view.groups}
        base = values.pop(view.found["baseline"], None)
        for group in view.groups:
            if (own := values.get(group["group"])) is not None:
                said.setdefault(view.judged(group, measure), []).append(f"{group['group']} {wording.percent(own)}")
        if said and base is not None:
            found = "; ".join(f"{words}: {', '.join(names)}" for words, names in said.items())
            yield f"{pair[0]} beside {pair[1]}, {what}: {view.found['baseline']} {wording.percent(base)}; {found}."
