"""Which channels and which targets go together, by masks, by logits and by labels."""

import numpy as np

from mam_keras.report import figures, quoted, verdicts, wording
from mam_keras.report.blocks import Column, Figure, Missing, Section, Table
from mam_keras.statistics import Estimate

NEEDS = ("correlations",)
TITLE = "Correlations"
_PAIRS = 20  # rows of the table of logits against labels


def section(run, others):
    """From the analysis `correlations`; `others` are not shown."""
    found = run.results["correlations"]
    exclusive = run.targets.exclusive
    reading = (
        "1 means that two always rise together, -1 that one falls as the other rises, 0 neither. Neighbours in a "
        "matrix are alike: rows are ordered by clustering. Masks know no sign: a channel that speaks for one and "
        "against another is used by both, so masks go together where logits are opposed."
    )
    blocks = (*_channels(found, exclusive), *_targets(run, found), *_logits(found))
    answers = "1904.13078, figure 4, tables 1 and 2"
    return Section("correlations", TITLE, answers, reading, blocks, _summary(found, exclusive))


def _summary(found, exclusive):
    names, arrays = found.values["attributes"], found.arrays
    sentences = []
    if "attributes" in arrays and (arrays["attributes.nearest"][:, 0] >= 0).any():
        first, second, value = _closest(arrays["attributes"])
        sentences.append(
            f"By their masks, {names[first]} and {names[second]} are the most alike of all "
            f"{wording.targets(exclusive)} ({value:.2f})."
        )
    pairs = _pairs(found) if "labels" in arrays else ()
    if pairs:
        first, second, label, cut, *_, difference = pairs[0]
        if verdicts.verdict(difference) is verdicts.Verdict.BETTER:
            sentences.append(
                f"{first} and {second} go together in the logits clearly more than in the labels of the same images, "
                f"more than any other pair: {cut:.2f} against {label:.2f}."
            )
    return tuple(sentences)


def _channels(found, exclusive):
    reason = found.values["without_channels"]
    if reason:
        return (Missing(f"Correlations of masks: {reason}."),)
    matrix, order, nearest = (found.arrays[name] for name in ("channels", "channels.order", "channels.nearest"))
    columns = (Column("channel", "integer"), *(Column(f"{place}.") for place in range(1, 6)))
    rows = tuple(
        (channel, *(f"{other} ({matrix[channel, other]:.2f})" if other >= 0 else None for other in nearest[channel]))
        for channel in range(len(matrix))
    )
    return (
        _matrix(
            "correlations-channels",
            matrix,
            order,
            [str(channel) for channel in range(len(matrix))],
            f"Correlation of the channels' mask values over {wording.targets(exclusive)}, positions and images.",
        ),
        Table(
            "correlations-nearest-channels",
            "Each channel's five most highly correlated channels, with the correlation.",
            columns,
            rows,
            "Quoted for comparison: table 1 of 1904.13078 lists 0.94 to 0.98 for the five nearest of three of its 128 "
            "channels. Channels' numbers mean nothing outside their own network.",
        ),
    )


def _targets(run, found):
    reason, names = found.values["without_attributes"], found.values["attributes"]
    noun, several = (which(run.targets.exclusive) for which in (wording.target, wording.targets))
    if reason:
        # Said once where it is the same for both
        return () if reason == found.values["without_channels"] else (Missing(f"Correlations of {several}: {reason}."),)
    matrix, order, nearest = (found.arrays[name] for name in ("attributes", "attributes.order", "attributes.nearest"))
    columns = [Column(noun), *(Column(f"{place}.") for place in range(1, 6))]
    rows = [
        [name, *(f"{names[other]} ({matrix[k, other]:.2f})" if other >= 0 else None for other in nearest[k])]
        for k, name in enumerate(names)
    ]
    if run.config.data.is_celeba:
        columns.append(Column("quoted from the paper"))
        for row in rows:
            row.append(", ".join(quoted.NEAREST_ATTRIBUTES.get(row[0], ())) or None)
    return (
        _matrix(
            "correlations-attributes",
            matrix,
            order,
            names,
            f"Correlation of the {several}' mean masks over channels, each channel's mean over {several} taken off.",
        ),
        Table(
            "correlations-nearest-attributes",
            f"Each {noun}'s five most highly correlated {several} by masks, with the correlation.",
            tuple(columns),
            tuple(map(tuple, rows)),
            "Quoted: 1904.13078, table 2, which gives three attributes." if len(columns) > 6 else "",
        ),
    )


def _logits(found):
    names, arrays, head = found.values["attributes"], found.arrays, found.values["heads"][0]
    if len(names) < 2:
        return (Missing("Correlations of logits and labels: there is one attribute only."),)
    order, independent = arrays["logits.order"], "labels" in arrays
    logits = _matrix(
        "correlations-logits",
        arrays[f"logits.{head}"],
        order,
        names,
        f"Correlation of the logits of the {wording.head(head, not independent)} over images."
        + ("" if independent else " A class's logit is log(p / (1 - p)): where one rises, others have to fall."),
    )
    if not independent:
        return (logits,)
    both = np.where(
        np.triu(np.ones((len(names),) * 2), 1) > 0, *(_ordered(arrays[m], order) for m in (f"cut.{head}", "labels"))
    )
    return (
        logits,
        _matrix(
            "correlations-labels",
            both,
            None,
            [names[k] for k in order],
            "Above the diagonal logits, below it labels; both as yes or no, a logit cut where it says yes as often as "
            "its label. A cell that is stronger above than its mirror image below: the model joins what the labels "
            "join less.",
        ),
        _against_labels(found),
    )


def _against_labels(found):
    heads = found.values["heads"]
    columns = [
        Column("attribute"),
        Column("and"),
        Column("labels", "number", 2),
        Column("logits, cut", "number", 2),
        Column("logits", "number", 2),
        *(Column(f"{wording.head(head)}, cut", "number", 2) for head in heads[1:]),
        Column("cut less labels", "number", 2),
    ]
    caption = f"Logit against label: the {_PAIRS} pairs whose logits agree most beyond their labels."
    note = (
        f"Correlations of the {wording.head(heads[0])}. Labels of yes and no correlate less than what is behind them, "
        "and the less the rarer a yes is; so logits are cut to yes and no at the label's own rate before they are "
        "compared. "
        "The interval (95 %) is of each pair by itself: the first of many pairs is first by chance too. A pair stands "
        "high where the model has learnt that two attributes go together, and where labels are inconsistent."
    )
    return Table("correlations-pairs", caption, tuple(columns), tuple(_pairs(found)), note)


def _pairs(found):
    """Rows of the table, the pair whose logits agree most beyond its labels first."""
    names, arrays, heads = found.values["attributes"], found.arrays, found.values["heads"]
    rows = []
    for (k, other), difference in zip(arrays["pairs"][:_PAIRS], arrays["difference"], strict=False):
        if np.isnan(difference[0]):
            break  # the rest is undefined too
        matrices = ("labels", f"cut.{heads[0]}", f"logits.{heads[0]}", *(f"cut.{head}" for head in heads[1:]))
        numbers = (float(arrays[matrix][k, other]) for matrix in matrices)
        rows.append((names[k], names[other], *numbers, Estimate.of(difference)))
    return rows


def _matrix(name, matrix, order, names, caption):
    if order is not None:
        matrix, names = _ordered(matrix, order), [names[k] for k in order]
    if np.isnan(matrix).any():
        caption += " Grey: undefined, one of the two never varies."
    canvas, axes = figures.canvas(6.4, 5.4)
    figures.matrix(axes, matrix, figures.SIGNED, (-1, 1), names, names, "correlation")
    first, second, value = _closest(matrix)
    alternative = (
        f"{len(names)} x {len(names)} cells; the highest, {value:.2f}, is of {names[first]} and {names[second]}."
    )
    return Figure(name, figures.svg(canvas, name), caption, alternative)


def _ordered(matrix, order):
    return matrix[np.ix_(order, order)]


def _closest(matrix):
    """Where the highest correlation is, off the diagonal, and what it is."""
    others = np.where(np.isnan(matrix), -np.inf, matrix)
    np.fill_diagonal(others, -np.inf)
    first, second = np.unravel_index(others.argmax(), others.shape)
    return int(first), int(second), float(others[first, second])
