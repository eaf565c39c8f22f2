"""What each run changes, and what that does to its answers on test images."""

from mam_keras.evaluation import HEADS
from mam_keras.report import wording
from mam_keras.report.blocks import Column, Missing, Section, Table
from mam_keras.study.plan import in_words
from mam_keras.study.results import METRICS
from mam_keras.study.view import ONE_SEED, estimate

TITLE = "Runs"
_TITLES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "average_precision": "average precision"}


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
    blocks.append(_table(view))
    return Section("runs", TITLE, "", reading, tuple(blocks), tuple(_summary(view)))


def _summary(view):
    failed = [one["run"] for one in view.runs if one["failed"]]
    if failed:
        yield f"{wording.count(len(failed), 'run')} failed: {', '.join(failed)}."
    for one in view.shown[1:]:
        if one["test"] and one["difference"] and view.baseline["test"]:
            accuracy, balanced = (estimate(one["difference"][metric]) for metric in METRICS[:2])
            judged = "" if wording.differs(accuracy) else ", no difference that these images could show"
            yield (
                f"On test {one['run']} is right in {wording.percent(estimate(one['test']['accuracy']))} where "
                f"{view.found['baseline']} is right in {wording.percent(estimate(view.baseline['test']['accuracy']))}: "
                f"{wording.points(accuracy, 2)}{judged}. Balanced accuracy: {wording.points(balanced, 2)}."
            )


def _table(view):
    columns = [
        Column("run"),
        Column("changes"),
        Column("epochs", "integer"),
        Column("answers of"),
        *(Column(_TITLES[metric], "percent") for metric in METRICS),
        *(Column(f"{_TITLES[metric]} less the baseline's, in points", "percent", 2) for metric in METRICS),
    ]
    rows = []
    for one in view.runs:
        test, difference = (one[name] or dict.fromkeys(METRICS) for name in ("test", "difference"))
        head = HEADS[test["head"]] if "head" in test else None
        values = [estimate(part[metric]) for part in (test, difference) for metric in METRICS]
        rows.append((view.name(one), in_words(one["changes"]), one["epochs"], head, *values))
    return Table(
        "runs",
        "Every run on the test images: means over the attributes, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        ONE_SEED,
    )
