"""What one attribute alone, put into a drawn picture, does to the logits of the others."""

import numpy as np

from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Column, Figure, Section, Table
from mam_keras.statistics import Estimate

NEEDS = ("toggling",)
TITLE = "Toggling one attribute"
CO_OCCURRING = ("Heavy_Makeup", "Wearing_Lipstick")  # whose co-occurrence data.co_occurrence sets: always shown
_LARGEST = 10  # effects of a run in the table


def section(run, others):
    """From the analysis `toggling` of the run and of those it is compared with."""
    found = run.results["toggling"]
    reading = (
        f"Each of {wording.count(found.values['images'], 'drawn image')} is drawn again with one attribute changed and "
        "everything else the same; what that does to the logits of the "
        f"{wording.head(found.values['head'])}. A row is the attribute "
        "that is put into the picture, a column the attribute whose logit moves. The diagonal is what a classifier "
        "should answer to; anything beside it means that one attribute is taken for another, as happens where the two "
        "came together in training."
    )
    names = found.values["attributes"]
    compared = [other for other in others if "toggling" in other.results]
    blocks, summary = [_matrix(names, found.arrays["effects"][..., 0])], []
    if len(names) > 1:
        blocks.append(_table(run, compared))
        summary += _summary(run, compared)
    return Section("toggling", TITLE, "", reading, tuple(blocks), tuple(summary))


def _largest(run, most):
    """Names of (what is put in, whose logit moves), the largest effects first."""
    found = run.results["toggling"]
    size = np.abs(found.arrays["effects"][..., 0])
    np.fill_diagonal(size, -1)
    order = np.argsort(-size, axis=None, kind="stable")[: min(most, size.size - len(size))]
    return [tuple(found.values["attributes"][k] for k in np.unravel_index(place, size.shape)) for place in order]


def _effect(run, toggled, moved):
    """Of one attribute on another, by their names; None where the run has not both."""
    found = run.results["toggling"]
    names = found.values["attributes"]
    if toggled not in names or moved not in names:
        return None
    return Estimate.of(found.arrays["effects"][names.index(toggled), names.index(moved)])


def _summary(run, compared):
    toggled, moved = _largest(run, 1)[0]
    yield (
        f"The attribute that moves another one most is {toggled}: put into the picture alone, it moves the logit of "
        f"{moved} by {_number(_effect(run, toggled, moved))}, where {moved} itself moves it by "
        f"{_number(_effect(run, moved, moved))}."
    )
    for other in compared:
        for toggled, moved in [*_largest(other, 1), CO_OCCURRING]:
            ours, its = _effect(run, toggled, moved), _effect(other, toggled, moved)
            if ours is None or its is None:
                continue
            yield (
                f"{toggled} alone moves {moved} by {_number(ours)} here and by {_number(its)} in {other.name}: "
                f"{verdicts.apart(ours, its)}."
            )


def _number(estimate):
    if estimate.low is None:
        return f"{estimate.value:+.2f}"
    return f"{estimate.value:+.2f} ({estimate.low:+.2f} to {estimate.high:+.2f})"


def _matrix(names, effects):
    side = min(7.2, 2.6 + 0.24 * len(names))
    canvas, axes = figures.canvas(side + 0.8, side)
    limit = float(np.abs(effects).max()) or 1.0
    figures.matrix(axes, effects, figures.SIGNED, (-limit, limit), names, names, "change of the logit")
    axes.set_xlabel("logit of")
    axes.set_ylabel("put into the picture")
    return Figure(
        "toggling-effects",
        figures.svg(canvas, "toggling-effects"),
        "Mean change of each attribute's logit (column) when one attribute alone is put into the picture (row).",
        f"{len(names)} x {len(names)} cells; on the diagonal from {effects.diagonal().min():.1f} to "
        f"{effects.diagonal().max():.1f}.",
    )


def _table(run, compared):
    found = run.results["toggling"]
    names = found.values["attributes"]
    pairs = [pair for one in (run, *compared) for pair in _largest(one, _LARGEST)] + [CO_OCCURRING]
    pairs = [pair for pair in dict.fromkeys(pairs) if set(pair) <= set(names)]
    columns = [Column("put in"), Column("moves"), Column("by", "number", 2), Column("its own effect", "number", 2)]
    columns += [Column("labels' correlation in training", "number", 2)]
    columns += [Column(f"by, in {other.name}", "number", 2) for other in compared]
    rows = []
    for toggled, moved in pairs:
        correlation = found.arrays["labels"][names.index(toggled), names.index(moved)]
        row = [toggled, moved, _effect(run, toggled, moved), _effect(run, moved, moved)]
        row += [None if np.isnan(correlation) else float(correlation)]
        rows.append((*row, *(_effect(other, toggled, moved) for other in compared)))
    note = (
        "Logits, with 95 % intervals over the images. Its own effect: what the moved attribute itself does to its "
        "logit when it is put in."
    )
    caption = "What one attribute does to another: the largest effects"
    caption += f" of each run, and {' on '.join(CO_OCCURRING)}." if CO_OCCURRING in pairs else " of each run."
    return Table("toggling-pairs", caption, tuple(columns), tuple(rows), note)
