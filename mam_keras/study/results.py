"""What a study found, in plain values: tables of the analyses' headlines, by run and over seeds. Draws nothing.

study.json has all of it, study.csv a row for each run.
"""

from dataclasses import asdict

from mam_keras import analysis
from mam_keras.analysis import directing
from mam_keras.files import write_csv, write_json
from mam_keras.statistics import Estimate
from mam_keras.study.best import best, lowest
from mam_keras.study.choice import choose
from mam_keras.study.plan import in_words
from mam_keras.study.seeds import over_seeds, paired

PARTS = ("validation", "test", "difference")


def collect(study, looked, failed) -> dict:
    """The study in plain values; an estimate is [value, low, high] with the ends of its 95 % interval, or None.

    {"name", "baseline", "choose_by", "most_accuracy_lost": of the study,
     "accuracy": the measure that accuracy is said in, top1 of exclusive targets,
     "chosen": group or None, "eligible": groups that lose little enough, both by `choice.choose`,
     "unaided": the group chosen among those whose training was not told where attributes are, or None,
     "pairs": [[attribute, other]], see `plan.Study.pairs`,
     "best": {MEASURE: `best.Best` as a dictionary}, on test, of the measures that are good or bad, and
     "best_unaided": the same among settings whose training was not told where attributes are,
     "measures": {ANALYSIS: its measures on test; "directing": MEASURE:ATTRIBUTE:OTHER of `directing.figures`},
     "runs": [{"run", "group", "seed", "changes": {key: value}, "failed": why or None, "epochs",
               "missing": {analysis: why}, "aided": whether training was told (loss.localisation),
               "validation", "test": {MEASURE: estimate}, with intervals over images,
               "difference": {MEASURE: estimate}, on test, less the baseline with the same seed, paired by images}],
     "groups": [{"group", "changes", "aided", "seeds": those of its finished runs,
                 "validation", "test": {MEASURE: estimate}, means with intervals over seeds (`seeds.over_seeds`),
                 "difference": {MEASURE: estimate}, on test, less the baseline, paired by seeds,
                 "shared": how many seeds these are}]}

    Args:
        study: `plan.Study`.
        looked: {run: `analyses.Looked`} of the finished ones.
        failed: {run: why}.
    """
    runs = [_run(study, name, looked.get(name), failed.get(name)) for name in study.configs]
    directed = dict.fromkeys(name for one in runs for name in one["test"] if ":" in name)
    return tabulated(study, runs, _measures(looked) | {"directing": list(directed)})


def tabulated(study, runs, measures) -> dict:
    """`collect`, of its "runs" and "measures": what is over the seeds, and what is chosen."""
    names = dict.fromkeys(one["group"] for one in runs)
    groups = [_group(name, [one for one in runs if one["group"] == name]) for name in names]
    by_name = {one["group"]: one for one in groups if one["seeds"]}
    for one in by_name.values():
        one["difference"], one["shared"] = _less(one, by_name[study.baseline], runs)
    means = {name: {m: numbers[0] for m, numbers in one["validation"].items()} for name, one in by_name.items()}
    accuracy = "top1" if "top1" in means[study.baseline] else "accuracy"
    by = accuracy if study.file.choose_by == "accuracy" else study.file.choose_by
    rule = study.baseline, study.file.most_accuracy_lost, accuracy, by
    chosen, eligible = choose(means, *rule)
    aided = {name for name, one in by_name.items() if one["aided"]}
    every = dict.fromkeys(measure for one in by_name.values() for measure in one["test"])
    unaided, _ = choose({name: found for name, found in means.items() if name not in aided - {rule[0]}}, *rule)
    return {
        "name": study.name,
        "baseline": study.baseline,
        "choose_by": by,
        "most_accuracy_lost": study.file.most_accuracy_lost,
        "accuracy": accuracy,
        "chosen": chosen,
        "eligible": eligible,
        "unaided": None if unaided in aided else unaided,
        "pairs": [list(pair) for pair in study.pairs],
        "best": _best(runs, by_name, every),
        "best_unaided": _best(runs, {name: one for name, one in by_name.items() if name not in aided}, every),
        "measures": measures,
        "runs": runs,
        "groups": groups,
    }


def write(found, directory):
    """study.csv, and study.json, which comes last."""
    rows = [_row(one, found) for one in found["runs"]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(directory.table, [{name: row.get(name) for name in names} for row in rows])
    write_json(directory.results, found)


def figures(found) -> list[dict]:
    """What settings measured on test, over their seeds, as a report's `figures.json` has it, for whoever quotes it.

    [{"run": group, "seeds": [...], "figures": {MEASURE: {"value", "low", "high"}},
      "less": {BASELINE: the same, paired by seeds}}], of the groups with a finished run.
    """
    return [
        {
            "run": one["group"],
            "seeds": one["seeds"],
            "figures": {name: asdict(Estimate(*numbers)) for name, numbers in one["test"].items()},
            "less": {
                found["baseline"]: {name: asdict(Estimate(*numbers)) for name, numbers in one["difference"].items()}
            },
        }
        for one in found["groups"]
        if one["seeds"]
    ]


def notes(group, found) -> list[str]:
    """What a group is in its study: "baseline", "chosen", "chosen unaided" (said only where "chosen" is another)."""
    words = [word for word in ("baseline", "chosen") if found[word] == group]
    return words + ["chosen unaided"] * (group == found["unaided"] != found["chosen"])


def table(found) -> str:
    """The groups as text: what they are chosen by, and test accuracy; the chosen one marked; undefined is "–"."""
    columns = [("validation", m) for m in dict.fromkeys((found["accuracy"], found["choose_by"]))]
    columns += [("test", m) for m in dict.fromkeys((found["accuracy"], "balanced_accuracy"))]
    rows = [("run", "seeds", *(f"{split} {measure}" for split, measure in columns), "")]
    for group in found["groups"]:
        values = (group[split].get(measure, [None])[0] for split, measure in columns)
        texts = ("\N{EN DASH}" if value is None else f"{value:.4f}" for value in values)
        why = [f"failed: {one['failed']}" for one in found["runs"] if one["group"] == group["group"] and one["failed"]]
        note = ", ".join([*notes(group["group"], found), *why])
        rows.append((group["group"], str(len(group["seeds"])), *texts, note))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            f"{text:{'<' if place in (0, len(row) - 1) else '>'}{widths[place]}}" for place, text in enumerate(row)
        ).rstrip()
        for row in rows
    )


def _best(runs, groups, measures):
    own = {name: [one for one in runs if one["group"] == name] for name in groups}
    costs = {name: one["test"].get("answering_ms", [None])[0] for name, one in groups.items()}
    found = {
        m: best({name: _values(of, "test", m) for name, of in own.items()}, lowest(m), costs)
        for m in measures
        if lowest(m) is not None
    }
    return {name: asdict(one) for name, one in found.items() if one is not None}


def _run(study, name, looked, why):
    config = study.configs[name]
    found = {"missing": {}, **{part: {} for part in PARTS}}
    if looked is not None:
        results = looked.reported.results
        test = analysis.headlines({name: one for name, one in results.items() if name != "comparison"})
        for pair in study.pairs:
            test |= {":".join((name, *pair)): one for name, one in directing.figures(results, *pair).items()}
        found = {
            "missing": looked.reported.missing,
            "validation": _plain(looked.validation),
            "test": _plain(test),
            "difference": _plain(_differences(results.get("comparison"), test)),
        }
    return {
        "run": name,
        "group": study.group(name),
        "seed": config.seed,
        "changes": study.changes[name],
        "failed": why,
        "epochs": config.training.epochs,
        "aided": _aided(study, name),
        **found,
    }


def _aided(study, name):
    """Also by the run that it starts from."""
    config, start = study.configs[name], study.starts.get(name)
    own = config.loss.localisation or config.data.region_only
    return bool(own) or (start is not None and _aided(study, start))


def _differences(comparison, measures):
    """{MEASURE: `Estimate`} of those that were compared: this run less the baseline, over what both answered."""
    arrays = {} if comparison is None else comparison.arrays
    return {name: Estimate.of(arrays[f"{name}.mean"][2]) for name in measures if f"{name}.mean" in arrays}


def _group(name, runs):
    done = [one for one in runs if one["failed"] is None]
    over = {
        part: {
            measure: _numbers(over_seeds(_values(done, part, measure).values()))
            for measure in dict.fromkeys(measure for one in done for measure in one[part])
        }
        for part in PARTS[:2]
    }
    return {
        "group": name,
        "changes": {key: value for key, value in runs[0]["changes"].items() if key != "seed" or len(runs) == 1},
        "aided": runs[0]["aided"],
        "seeds": [one["seed"] for one in done],
        **over,
        "difference": {},
        "shared": 0,
    }


def _less(group, baseline, runs):
    """{MEASURE: estimate} of a group less the baseline on test, and over how many seeds."""
    if group is baseline:
        return {}, 0
    own, others = ([one for one in runs if one["group"] == which["group"]] for which in (group, baseline))
    found = {
        measure: paired(_values(own, "test", measure), _values(others, "test", measure))
        for measure in group["test"]
        if measure in baseline["test"]
    }
    return {m: _numbers(one) for m, (one, _) in found.items()}, max((n for _, n in found.values()), default=0)


def _values(runs, part, measure):
    """{seed: value}."""
    return {one["seed"]: one[part][measure][0] for one in runs if measure in one[part]}


def _measures(looked):
    """{ANALYSIS: its measures on test}, of any run."""
    found = {}
    for one in looked.values():
        for name, result in one.reported.results.items():
            if name != "comparison":
                found.setdefault(name, {}).update(dict.fromkeys(analysis.headlines({name: result})))
    return {name: list(measures) for name, measures in found.items() if measures}


def _plain(estimates):
    return {name: _numbers(one) for name, one in estimates.items()}


def _numbers(one):
    return [None if number is None else float(number) for number in (one.value, one.low, one.high)]


def _row(one, found):
    """Of study.csv: every number of a run, under a dotted name."""
    row = {
        "run": one["run"],
        "note": ", ".join(notes(one["group"], found)),
        "eligible": one["group"] in found["eligible"],
        "failed": one["failed"],
        "changes": in_words(one["changes"]),
        **{name: one[name] for name in ("group", "seed", "epochs", "aided")},
    }
    for part in PARTS:
        for measure, numbers in one[part].items():
            row |= zip((f"{part}.{measure}{end}" for end in ("", ".low", ".high")), numbers, strict=True)
    return row
