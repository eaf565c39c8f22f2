"""`MODEL_CARD.md`, in the form that Hugging Face reads: what a run's model is for, how good it is, and its limits.

Every sentence follows from a figure, a setting or a count of the run; what was not measured is said to be unknown.
"""

from collections.abc import Iterator

import numpy as np

from mam_keras import __version__, analysis, predictions, records, settings
from mam_keras.analysis import result
from mam_keras.errors import UserError
from mam_keras.report import verdicts
from mam_keras.report.verdicts import Verdict, listed
from mam_keras.statistics import Estimate

FEW = 10  # images of a target; with fewer its figures say little
_METRICS = ("accuracy", "balanced_accuracy", "average_precision", "f1")
_FOUND = 0.5  # of the images of a class: its recall, which stands as its balanced accuracy


def card(run) -> str:
    """The card of a finished `TrainedRun`, Markdown. Raises `UserError` where a file of the run is damaged."""
    found = records.evaluation(run.directory) or {"splits": {}}
    split = next((name for name in ("test", "validation") if name in found["splits"]), None)
    scores = found["splits"].get(split)
    parts = [_front_matter(run, split, scores), f"# {run.config.name}", *_details(run), "## Intended use", *_use(run)]
    parts += ["## Limits", *_limits(run, split, scores), "## Evaluation", *_evaluation(run, split, scores)]
    parts += ["## What it looks at", *_maps(run, split), "## Use", _HOW]
    return "\n\n".join(parts) + "\n"


_HOW = """```python
import mam_keras

found = mam_keras.load("RUN_DIR").explain("image.jpg")
print(found.answered, found.probabilities)
found.overlay().save("map.png")
```

`mam_keras.json` beside this file says how images are prepared, and in which order the outputs are."""


def _front_matter(run, split, scores):
    values = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "explainability", "mam_keras", run.config.model.system],
    }
    if scores:
        head = next(iter(scores["heads"]))
        measured = [
            {"type": metric, "name": metric.replace("_", " "), "value": round(value, 4)}
            for metric in ("top1", *_METRICS)
            if (value := scores["heads"][head]["mean"].get(metric)) is not None
        ]
        values["model-index"] = [
            {
                "name": run.config.name,
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": run.config.data.TITLE, "type": run.config.data.source, "split": split},
                        "metrics": measured,
                    }
                ],
            }
        ]
    return f"---\n{settings.to_yaml(values)}---"


def _details(run) -> Iterator[str]:
    names, config = run.targets.names, run.config
    what = "one of these classes" if run.targets.exclusive else "yes or no to each of these attributes"
    yield f"Answers {what} of an image: {', '.join(names)}."
    yield f"Network: {config.model.describe(config.data.image_size)}. Images of {config.data.image_size} pixels a side."
    papers = [f"{one.authors} ({one.year}), {one.title}, arXiv:{one.arxiv}" for one in config.model.PAPERS]
    if papers:
        yield f"After {'; '.join(papers)}."
    environment, epochs = records.environment(run.directory) or {}, len(records.history(run.directory))
    trained = [f"Trained for {epochs} epochs" if epochs else "Trained"]
    if run.record is not None and "train" in run.record.splits:
        trained.append(f"on {len(run.record.splits['train'].labels):,} images")
    trained.append(f"({config.data.TITLE})")
    if end := environment.get("end"):
        trained.append(f"until {end[:10]}")
    yield f"{' '.join(trained)}, with mam_keras {environment.get('versions', {}).get('mam_keras', __version__)}."
    yield "Licence: not stated here; whoever publishes the model states it, with that of its data in view."


def _use(run) -> Iterator[str]:
    asked = "the class" if run.targets.exclusive else "these attributes"
    yield (
        f"To tell {asked} of images like those it was trained on ({run.config.data.TITLE}), prepared in the same "
        "way, and to show which places of the image the answer comes from."
    )
    yield (
        "Other images get an answer, too, though none of the figures below is about them: `mam-keras report --data` "
        "measures it on others."
    )
    if run.config.data.is_celeba:
        yield "CelebA is for non-commercial research, and its labels are annotators' impressions of famous people."


def _limits(run, split, scores) -> Iterator[str]:
    if scores is None:
        yield "Nothing was measured: the data have neither test nor validation images. How good it is, is unknown."
        return
    exclusive, main = run.targets.exclusive, next(iter(scores["heads"].values()))
    right, majority = ("top1", "majority_top1") if exclusive else ("accuracy", "majority_accuracy")
    text = f"Right in {_percent(main['mean'].get(right))} of the {'images' if exclusive else 'answers'}"
    usual = f"always giving training's most frequent answer ({_percent(main['mean'].get(majority))})"
    gain, gains = _gains(run, split)
    yield f"{text}, {verdicts.verdict(gain).value} {usual}."
    if exclusive:
        recalls = {name: one.get("balanced_accuracy") for name, one in main["per_attribute"].items()}
        missed = [name for name, recall in recalls.items() if recall is not None and recall < _FOUND]
        if missed:
            yield f"Not to be relied on, for fewer than half of their images are found: {listed(missed, 40)}."
    elif lacking := [name for name, one in gains.items() if verdicts.verdict(one) is not Verdict.BETTER]:
        yield f"Not to be relied on, for no gain over the usual answer was measured: {listed(lacking, 40)}."
    answers = run.predictions(split)
    if answers is not None:
        counts = (answers.labels & answers.known).sum(axis=0)
        rare = [name for name, count in zip(run.targets.names, counts, strict=True) if count < FEW]
        if rare:
            yield f"Shown by fewer than {FEW} {split} images, so that figures say little: {listed(rare, 40)}."
    if run.config.data.is_drawn:
        yield "It was trained and measured on drawings: nothing here says what it does on photographs."
    if run.config.data.train_on_validation:
        yield "It was trained on the validation images, so that nothing could be chosen on them."
    yield "One training run; another seed gives another model, which no interval here covers."


def _gains(run, split):
    """What the answering head gains over the majority class, in the mean and of each target; unknown where it is."""
    unknown = Estimate(None, None, None)
    try:
        found = analysis.result_of(run, "accuracy", split)
    except (analysis.Unavailable, UserError, OSError):  # as of a run that does not know its training's rates
        return unknown, dict.fromkeys(run.targets.names, unknown)
    head = found.values["heads"][0]
    each = dict(zip(run.targets.names, map(Estimate.of, found.arrays[f"{head}.gain"]), strict=False))
    return Estimate.of(found.arrays[f"{head}.gain.mean"]), each


def _evaluation(run, split, scores) -> Iterator[str]:
    if scores is None:
        yield "None."
        return
    exclusive = run.targets.exclusive
    targets = len(run.targets.names)
    yield f"On {scores['images']:,} {split} images; means over {targets} targets, 95 % bootstrap intervals."
    metrics = (*(("top1",) if exclusive else ("accuracy",)), "balanced_accuracy", "average_precision", "f1")
    rows = [["head", *(metric.replace("_", " ") for metric in metrics)]]
    for head, values in scores["heads"].items():
        cells = [_with_interval(values["mean"].get(one), values.get("interval", {}).get(one)) for one in metrics]
        rows.append([predictions.title(head, exclusive), *cells])
    yield _table(rows)
    per = next(iter(scores["heads"].values()))["per_attribute"]
    keys = ("positive_rate", "balanced_accuracy", "average_precision")
    rows = [["target", "share of images", "recall" if exclusive else "balanced accuracy", "average precision"]]
    rows += [[name.replace("|", "\\|"), *(_percent(one.get(key)) for key in keys)] for name, one in per.items()]
    yield _table(rows)


def _maps(run, split) -> Iterator[str]:
    for one in run.network.maps.values():
        yield f"- **{one.title}**: {one.note}"
    found = _measured(run, split)
    if "localisation" in found and found["localisation"].value is not None:
        beside = found.get("localisation_grad_cam")
        own = found["localisation"]
        yield (
            f"The first map has {own.value:.1f} times the energy of chance in the attributes' regions, "
            f"{verdicts.verdict(own, 1.0).value} chance"
            + (f" (Grad-CAM: {beside.value:.1f} times)" if beside and beside.value is not None else "")
            + f", on {found['localised'].value:.0f} attributes."
        )
    else:
        yield "Whether the maps fall where a target is was not measured: nothing says where that is in these images."
    if "covering" in found and found["covering"].value is not None:
        own, random = found["covering"], found["covering_random"]
        yield (
            f"Covering the tenth of an image that the map marks takes {own.value:.2f} off the logit, a random tenth "
            f"{random.value:.2f}: {verdicts.apart(own, random)}."
        )
    noisy = {name: one for name, one in found.items() if name.startswith("identity_sigma_") and one.value is not None}
    if noisy:
        told = [f"{_percent(one.value)} at sigma {name.rpartition('_')[2]}" for name, one in noisy.items()]
        yield f"Balanced accuracy under Gaussian noise (of grey levels in [0, 1]): {', '.join(told)}."
    else:
        yield "How noise changes its answers was not measured."


def _measured(run, split):
    """The headlines of what `report` computed and kept of the split; nothing is computed here."""
    kept = {}
    for name in ("localisation", "faithfulness", "robustness") if split else ():
        found = result.read(run.folder, f"{name}.{split}", analysis.key(run, name, split))
        if found is not None and found.unavailable is None:
            kept[name] = found
    return analysis.headlines(kept)


def _table(rows):
    first, *others = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (first, ["---"] * len(first), *others))


def _percent(value):
    return "undefined" if value is None or np.isnan(value) else f"{100 * value:.1f} %"


def _with_interval(value, interval):
    low, high = interval or (None, None)
    return _percent(value) + ("" if low is None else f" ({100 * low:.1f} to {100 * high:.1f})")
