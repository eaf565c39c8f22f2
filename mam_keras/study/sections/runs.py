"""What each run changes, and what that does to its answers on test images."""

from mam_keras.report import verdicts, wording
from mam_keras.report.blocks import Column, Missing, Section
from mam_keras.report.headlines import column
from mam_keras.study.plan import in_words
from mam_keras.study.view import estimate

TITLE = "Runs"


def section(view):
    reading = (
        "Every run changes only what stands beside it; all else is the study's. Differences are paired: this run less "
        "the baseline, on the same resampled test images; one whose interval leaves out 0 is more than the choice of "
        "images, and may still be no more than another seed would do."
    )
    blocks = [
        Missing(f"{one['run']} ({in_words(one['changes'])}) failed: {one['failed']}.")
        for one in view.runs
        if one["failed"]
    ]
    compared = dict.fromkeys(measure for one in view.done for measure in one["difference"])
    parts = [("test", measure) for measure in view.measures("accuracy")]
    parts += [("difference", measure) for measure in compared]
    changes = {one["group"]: in_words(one["changes"]) for one in view.groups}
    blocks += view.tables("runs", "on the test images", parts, (Column("changes"), changes))
    return Section("runs", TITLE, "", reading, tuple(blocks), tuple(_summary(view)))


def _summary(view):
    failed = [one["run"] for one in view.runs if one["failed"]]
    if failed:
        yield f"{wording.count(len(failed), 'run')} failed: {', '.join(failed)}."
    measure = view.found["accuracy"]
    for group in view.shown[1:]:
        both = [estimate(view.found_of(one)["test"].get(measure)) for one in (group, view.baseline)]
        if None in both:
            continue
        own, other = (wording.percent(one) for one in both)
        yield (
            f"On test {group['group']} has {column(measure).title} {own} where {view.found['baseline']} has {other}"
            f"{_paired(view, group, measure)}. {view.beats(group, measure)}"
        )


def _paired(view, group, measure):
    """The difference: over the seeds where there are several, else on the same images."""
    if group["shared"] > 1:
        return f": {wording.points(estimate(group['difference'][measure]), 2)} over {group['shared']} seeds"
    difference = estimate(view.first(group)["difference"].get(measure))
    if difference is None:
        return ""
    return f": {wording.points(difference, 2)} on the same images, {verdicts.word(difference)}"
