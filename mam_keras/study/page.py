"""The page of a study: asks every section for its blocks and fills the report's frame. Computes nothing."""

import datetime
import importlib

from mam_keras.report import figures, header, wording
from mam_keras.report.page import Front, render
from mam_keras.study.sections import asked_about
from mam_keras.study.view import View

_JUDGED = ("localisation", "faithfulness", "robustness", "masks")  # what is said of a run in its own report
_OF_BASELINE = ("Data", "Network", "Devices", "Versions", "Analysed")  # facts of a run that a study's are taken from


def page(study, found, runs) -> str:
    """One self-contained HTML file.

    Args:
        study: `plan.Study`.
        found: of `results.collect`.
        runs: {run: `ReportedRun`} of the finished ones.
    """
    with figures.style():
        view = View(found, {name: run.history for name, run in runs.items()}, said(found, runs))
        sections = [section(view) for section in asked_about(study.asked, view.exclusive)]
    front = Front(
        name=study.name,
        title=f"{study.name}: {wording.count(len(view.runs), 'run')} compared",
        lead="Classifiers that differ in a few settings: chosen on validation images, compared on test images.",
        facts=_facts(study, view, runs),
        settings=study.to_yaml(),
        computed_from="the study's runs",
        command="python -m mam_keras.study",
        papers=tuple(dict.fromkeys(paper for config in study.configs.values() for paper in config.model.PAPERS)),
    )
    return render(front, {"": sections})


def said(found, runs):
    """{ANALYSIS: {run: sentences}} of the reports of the groups that the page speaks of, a run of each."""
    groups = dict.fromkeys(filter(None, (found[which] for which in ("baseline", "chosen", "unaided"))))
    firsts = {one["group"]: one["run"] for one in reversed(found["runs"]) if one["run"] in runs}
    return {name: {firsts[group]: _summary(name, runs[firsts[group]]) for group in groups} for name in _JUDGED}


def _summary(name, run):
    if name not in run.results:
        return ()
    section = importlib.import_module(f"mam_keras.report.sections.{name}")
    return section.section(run, []).summary if set(section.NEEDS) <= set(run.results) else ()


def _facts(study, view, runs):
    baseline = runs[next(name for name in study.groups[study.baseline] if name in runs)]
    facts = dict(header.facts(baseline, []))
    named = {name: facts[name] for name in _OF_BASELINE if name in facts}
    named["Network"] += f" (of the baseline, {study.baseline})"
    named["Budget"] = _budget(study)
    named["When"] = _when([run.environment for run in runs.values() if run.environment])
    named["Seed"] = _either(sorted({config.seed for config in study.configs.values()}))
    order = ("Data", "Network", "Budget", "When", "Devices", "Versions", "Seed", "Analysed")
    return [(name, named[name]) for name in order if name in named]


def _budget(study):
    """Epochs, images and batches of all runs; that they differ is said."""
    configs = study.configs.values()
    epochs = sorted({config.training.epochs for config in configs})
    batches = sorted({config.training.batch_size for config in configs})
    limits = {config.data.limit for config in configs}
    text = f"{_either(epochs)} epochs, batches of {_either(batches)}"
    if limits != {None}:
        text += f", {_either(['all' if limit is None else f'the first {limit:,}' for limit in limits])} training images"
    alike = len(epochs) == len(batches) == len(limits) == 1
    return f"{text}; the same for every run" if alike else f"{text}: not the same for every run"


def _either(values):
    return " or ".join(map(str, values))


def _when(environments):
    start, end = (
        [datetime.datetime.fromisoformat(one[key]) for one in environments if one.get(key)] for key in ("start", "end")
    )
    if not start or not end:
        return "unknown"
    return f"first training started {min(start):%d %B %Y, %H:%M} UTC, last finished {max(end):%d %B %Y, %H:%M} UTC"
