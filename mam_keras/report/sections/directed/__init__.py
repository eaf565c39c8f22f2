"""What directing did, beside the run before, a control and fitted offsets; of any run, how it answers pairs."""

from mam_keras.report import quoted
from mam_keras.report.blocks import Missing, Paragraph, Section
from mam_keras.report.sections.directed import beside, own, sentences
from mam_keras.report.sections.directed.view import BESIDE, Pair, pairs

NEEDS = ("groups",)
TITLE = "Pairs of attributes"
_READING = (
    "Of two attributes that come together in training one may be answered by way of the other, and accuracy over all "
    "images hardly shows it. So each is judged in four groups of images, with both, with one and with neither, and by "
    "the group in which it is worst. E1 and E2 of 1905.00593, the attribute with and without the other, are of "
    "positive images alone: a number added to every logit raises both, wherever the network looks, and the images "
    "without the attribute pay for it. Hence the offsets: one number added to the attribute's logit, fitted on "
    "validation, which costs no training."
)
_BESIDE = (
    " How often runs are right is compared in pairs, on the same resampled images; of maps, which each run has on true "
    "positives of its own, and of logits only whether the intervals overlap is said."
)


def section(run, others):
    """From the analyses of `directing.ANALYSES` and `pair_maps`; `others` are not shown."""
    blocks, summary = [], []
    if run.directed is None:
        summary += own.summary(run)
        blocks.append(own.questions(run))
    else:
        runs = {"this run": run} | {role: one for role, one in run.beside.items() if not isinstance(one, str)}
        blocks.append(Paragraph(_told(run.directed)))
        blocks += [Missing(f"Not shown, {BESIDE[role]}: {why}.") for role, why in _missing(run)]
        for number, pair in enumerate(pairs(run), 1):
            view = Pair(runs, *pair)
            blocks.append(beside.groups(view, f"directed-{number}-groups"))
            if view.gains_of:
                blocks.append(beside.gains(view, f"directed-{number}-gains"))
            blocks.append(beside.further(view, f"directed-{number}-runs"))
            summary += sentences.summary(view)
            if run.config.data.is_celeba and pair in quoted.DIRECTED:
                blocks.append(beside.printed(pair, f"directed-{number}-quoted"))
        blocks += [*beside.pictures(runs), own.questions(run)]
    if (why := run.results["groups"].values["unfitted"]) is not None:
        blocks.append(Missing(f"No offsets: {why}."))
    blocks += own.by_region(run)
    title, reading = (TITLE, _READING) if run.directed is None else ("Directed: before and after", _READING + _BESIDE)
    return Section("directed", title, "", reading, tuple(blocks), tuple(summary))


def _missing(run):
    for role in BESIDE:
        one = run.beside.get(role, "not asked for")
        if isinstance(one, str):
            yield role, one
        elif "groups" in one.missing:
            yield role, one.missing["groups"]
        elif "gains" in one.missing:
            yield f"{role}, in pairs with this one", one.missing["gains"]


def _told(told):
    changed = ", ".join(f"{key} {value}" for key, value in told.settings.items()) or "nothing but the regions"
    return (
        f"Directed: {', '.join(told.attributes)}, starting from {told.before.name}, with {changed}. The control is "
        "fine-tuned in the same way, on the same images in the same order, without the term that knows the regions."
    )
