"""How the runs named together answer the same images, and the papers' ablation beside the runs' own."""

from mam_keras.analysis.accuracy import compared as metrics
from mam_keras.report import quoted, verdicts, wording
from mam_keras.report.blocks import Column, Missing, Paragraph, Section, Table
from mam_keras.report.sections.accuracy import TITLES
from mam_keras.statistics import Estimate

NEEDS = ()
TITLE = "Runs compared"


def section(run, others):
    """From the analysis `comparison` that each of the `others` has with the page's run."""
    celeba = run.config.data.is_celeba
    reading = (
        "Each run is compared with the first on the images and attributes that both answered. Differences are paired "
        "(other run minus first, on the same resampled images); one whose interval leaves out 0 is more than the "
        "choice of images. One training run is one seed: another seed of the same configuration differs, too."
    )
    compared = [other for other in others if "comparison" in other.results]
    blocks = [
        Missing(f"{other.name}: {other.missing['comparison']}.") for other in others if "comparison" in other.missing
    ]
    if not others:
        blocks.append(Paragraph(_how_to(celeba)))
    if compared:
        titles = _titles(run, compared)
        blocks += [_means(run, compared, titles), _attributes(run, compared, titles)]
        if celeba:
            blocks.append(_ablation(run, compared, titles))
    answers = "1905.02719, table 1" if celeba else ""
    return Section("comparison", TITLE, answers, reading, tuple(blocks), tuple(_summary(run, compared)))


def _how_to(celeba):
    text = "This page is about one run. To compare runs on the same images: python -m mam_keras.report RUN OTHER ..."
    if celeba:
        text += (
            " The papers' ablation (1905.02719, table 1) takes runs trained with --set model.reconstructor=false, "
            "with --set model.multi_label_head=false, and with both."
        )
    return text


def _titles(run, others):
    """The runs' names, told apart by a number where they are the same."""
    titles = []
    for name in (run.name, *(other.name for other in others)):
        same = sum(title.rpartition(" #")[0] == name or title == name for title in titles)
        titles.append(f"{name} #{same + 1}" if same else name)
    return titles


def _summary(run, compared):
    for other in compared:
        values, arrays = other.results["comparison"].values, other.results["comparison"].arrays
        right = arrays[f"{metrics(values['exclusive'])[0]}.mean"]
        difference = Estimate.of(right[2])
        yield (
            f"{other.name} is right in {100 * right[1][0]:.1f} % where {run.name} is right in "
            f"{100 * right[0][0]:.1f} % ({wording.count(values['images'], 'shared image')}, "
            f"{wording.count(len(values['attributes']), wording.target(values['exclusive']))}): "
            f"{wording.points(difference, 2)}, {verdicts.word(difference)}."
        )


def _means(run, compared, titles):
    exclusive = compared[0].results["comparison"].values["exclusive"]
    right, *_ = measured = metrics(exclusive)
    noun = wording.targets(exclusive)
    columns = [Column("run"), Column("made of"), Column("answers of"), Column("shared images", "integer")]
    columns += [Column(f"shared {noun}", "integer"), Column(TITLES[right], "percent"), Column("first run's", "percent")]
    columns += [Column(f"difference in {TITLES[metric]}, in points", "percent", 2) for metric in measured]
    rows = []
    if "accuracy" in run.results:
        own = run.results["accuracy"]
        head = own.values["heads"][0]
        counts = own.values["images"], len(own.values["attributes"])
        row = (titles[0], _made_of(run), wording.head(head, exclusive), *counts, _own(run, right))
        rows.append((*row, *[None] * (1 + len(measured))))
    for other, title in zip(compared, titles[1:], strict=True):
        result = other.results["comparison"]
        first, its, _ = map(Estimate.of, result.arrays[f"{right}.mean"])
        head = wording.head(result.values["heads"][1], exclusive)
        counts = result.values["images"], len(result.values["attributes"])
        differences = [Estimate.of(result.arrays[f"{metric}.mean"][2]) for metric in measured]
        rows.append((title, _made_of(other), head, *counts, its, first, *differences))
    return Table(
        "comparison-means",
        "Every run on the images that it shares with the first, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        f"Means over the shared {noun} for which a metric is defined in both runs.",
    )


def _own(run, metric):
    """Of all images of the page's run."""
    found = run.results["accuracy"]
    return Estimate.of(found.arrays[f"{found.values['heads'][0]}.{metric}.mean"])


def _made_of(run):
    size = run.config.data.image_size
    return f"{run.config.model.describe(size)}; {size} px, seed {run.config.seed}"


def _attributes(run, compared, titles):
    """One row per target that any of the others shares, one column of its measure and one of difference per run."""
    exclusive = compared[0].results["comparison"].values["exclusive"]
    noun = wording.target(exclusive)
    metric, title_of = ("balanced_accuracy", "Recall") if exclusive else ("accuracy", "Accuracy")
    columns, rows, width = [Column(noun), Column(titles[0], "percent")], {}, 2 * len(compared)
    for place, (other, title) in enumerate(zip(compared, titles[1:], strict=True)):
        result = other.results["comparison"]
        columns += [Column(title, "percent"), Column(f"{title} minus {titles[0]}, in points", "percent")]
        for name, runs in zip(result.values["attributes"], result.arrays[metric], strict=True):
            first, its, difference = map(Estimate.of, runs)
            row = rows.setdefault(name, [name, first, *[None] * width])
            row[2 + 2 * place : 4 + 2 * place] = its, difference
    return Table(
        "comparison-attributes",
        f"{title_of} of every {noun} in every run, and the paired differences.",
        tuple(columns),
        tuple(map(tuple, rows.values())),
        f"{titles[0]}: on the images that it shares with the first run that has the {noun}.",
    )


def _ablation(run, compared, titles):
    """The papers' four rows, each with the runs that are made so."""
    measured = [(run, titles[0], _own(run, "accuracy"))] if "accuracy" in run.results else []
    for other, title in zip(compared, titles[1:], strict=True):
        measured.append((other, title, Estimate.of(other.results["comparison"].arrays["accuracy.mean"][1])))
    rows = []
    for parts, (name, printed) in quoted.ABLATION.items():
        runs = [(title, accuracy) for one, title, accuracy in measured if _papers_parts(one) == parts]
        rows += [(name, printed / 100, *own) for own in runs or [(None, None)]]
    return Table(
        "comparison-ablation",
        "The ablation of 1905.02719, table 1, beside the runs made of the same parts.",
        (
            Column("parts, as the paper calls them"),
            Column("average accuracy (quoted)", "percent", 2),
            Column("run"),
            Column("mean accuracy of the attribute heads", "percent", 2),
        ),
        tuple(rows),
        "Quoted from 1905.02719, whose average of 92.05 does not follow from its own table 4 (whose rows average "
        "90.17). Runs may differ in more than their parts: see the table above.",
    )


def _papers_parts(run):
    """(reconstructor, multi-label head) of the papers' own system; None for any other."""
    model = run.config.model
    if model.system != "masked" or not model.attribute_heads or model.masks != "per_feature":
        return None
    return model.reconstructor, model.multi_label_head
