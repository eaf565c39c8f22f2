"""Whether every run needs what its maps and its most important channels point at."""

from mam_keras.report import wording
from mam_keras.report.blocks import Column, Missing, Section, Table
from mam_keras.study.view import ONE_SEED, estimate

TITLE = "Faithfulness"


def section(view):
    runs = view.having("faithfulness")
    if not runs:
        return Section("faithfulness", TITLE, "", "", (Missing("No run has attribute heads, and so no maps."),))
    covered, positions = runs[0]["faithfulness"]["positions"]
    reading = (
        f"What an attribute's logit loses when {100 * covered / positions:.0f} % of the image get its mean colour: the "
        "blocks where the attribute's map is highest, random blocks, or those nearest the middle; and when the most "
        "important channels, or as many random ones, are left out of the head's sum. A map that points at what matters "
        "costs more than both controls. Logits of different runs have different scales: compare a run's map with its "
        "own controls."
    )
    return Section("faithfulness", TITLE, "", reading, (_table(view, runs),), tuple(_summary(view)))


def _summary(view):
    for one in view.shown:
        found = one["faithfulness"]
        if not found or found["covering"]["map"][0] is None:
            continue
        losses = ", ".join(
            f"{words} {found['covering'][method][0]:.2f}"
            for method, words in (("map", "what the map marks"), ("random", "random blocks"), ("centre", "the middle"))
        )
        yield f"{one['run']}: covering costs of the logit {losses}. {_verdict(found['covering_minus'])}"


def _verdict(gains):
    """Of covering what the map marks against both controls, in one sentence."""
    parts = []
    for method, words in (("random", "random blocks"), ("centre", "the middle of the image")):
        gain = estimate(gains[method])
        if not wording.differs(gain):
            parts.append(f"as much as {words}, as far as these images show")
        else:
            parts.append(f"measurably {'more' if gain.value > 0 else 'less'} than {words}")
    return f"What the map marks costs {', and '.join(parts)}."


def _table(view, runs):
    columns = (
        Column("run"),
        Column("attributes", "integer"),
        Column("covered: map", "number", 2),
        Column("random", "number", 2),
        Column("centre", "number", 2),
        Column("map minus random", "number", 2),
        Column("map minus centre", "number", 2),
        Column("no longer found: map", "percent"),
        Column("no longer found: random", "percent"),
        Column("no longer found: centre", "percent"),
        Column("channels removed: most important", "number", 2),
        Column("channels removed: random", "number", 2),
        Column("most important minus random", "number", 2),
    )
    rows = []
    for one in runs:
        found = one["faithfulness"]
        parts = [found["covering"][method] for method in ("map", "random", "centre")]
        parts += [found["covering_minus"][method] for method in ("random", "centre")]
        parts += [found["missed"][method] for method in ("map", "random", "centre")]
        parts += [*found["channels_removed"].values(), found["channels_removed_minus"]["random"]]
        rows.append((view.name(one), found["attributes"], *map(estimate, parts)))
    return Table(
        "faithfulness",
        "Loss of logit on true positives of the test images: means over attributes, with 95 % intervals.",
        columns,
        tuple(rows),
        f"Differences are paired. {ONE_SEED}",
    )
