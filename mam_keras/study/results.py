"""What a study found, in plain values: study.json, and study.csv with a row for each run. Draws nothing."""

import numpy as np

from mam_keras.analysis.accuracy import COMPARED
from mam_keras.analysis.faithfulness import COVERED, REMOVED
from mam_keras.analysis.localisation import MEASURES as LOCATED
from mam_keras.run_directory import write_csv, write_json
from mam_keras.study.choice import choose
from mam_keras.study.plan import in_words

METRICS = COMPARED[:3]  # accuracy, balanced_accuracy, average_precision
NOISE = "balanced_accuracy"  # what robustness is said in: near the majority class accuracy says nothing
MASKS = ("mean", "near_zero", "near_half", "near_one", "masked_share")


def collect(study, runs, failed) -> dict:
    """The study in plain values; an estimate is [value, low, high] with the ends of its 95 % interval, or None.

    {"name", "baseline", "most_accuracy_lost": of the study,
     "chosen": run or None, "eligible": runs that lose little enough, both by `choice.choose`,
     "unaided": the run chosen among those whose training was not told where attributes are, or None,
     "runs": [{"run", "changes": {key: value}, "failed": why or None, "epochs", "missing": {analysis: why},
               "aided": whether training was told (loss.localisation), and None where it failed or has no such thing:
               "validation":   {"measures", "intervals"} of `analysis.measures`
               "test":         {"head", "images", "groups", METRIC: estimate}
               "difference":   {METRIC: estimate}, this run less the baseline, paired; None of the baseline
               "localisation": {SET: see `_localisation`}
               "faithfulness": see `_faithfulness`
               "robustness":   see `_robustness`
               "masks":        {name of `MASKS`: mean over the attributes}}]}

    Args:
        study: `plan.Study`.
        runs: {run: `ReportedRun`} of the finished ones, see `analyses.analyse`.
        failed: {run: why}.
    """
    measures = {name: run.results["measures"].values["measures"] for name, run in runs.items()}
    rule = study.baseline, study.file.most_accuracy_lost
    chosen, eligible = choose(measures, *rule)
    aided = {name for name, config in study.configs.items() if config.loss.localisation}
    unaided, _ = choose({name: found for name, found in measures.items() if name not in aided - {rule[0]}}, *rule)
    return {
        "name": study.name,
        "baseline": study.baseline,
        "most_accuracy_lost": study.file.most_accuracy_lost,
        "chosen": chosen,
        "eligible": eligible,
        "unaided": None if unaided in aided else unaided,
        "runs": [
            {
                "run": name,
                "changes": study.file.runs[name],
                "failed": failed.get(name),
                "epochs": config.training.epochs,
                "aided": name in aided,
                **_found(runs.get(name)),
            }
            for name, config in study.configs.items()
        ],
    }


def write(found, directory):
    """study.csv, and study.json, which comes last."""
    rows = [_row(one, found) for one in found["runs"]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(directory.table, [{name: row.get(name) for name in names} for row in rows])
    write_json(directory.results, found)


def notes(one, found) -> list[str]:
    """What a run is in its study: "baseline", "chosen", "chosen unaided" (said only where "chosen" is another)."""
    words = [word for word in ("baseline", "chosen") if found[word] == one["run"]]
    return words + ["chosen unaided"] * (one["run"] == found["unaided"] != found["chosen"])


def table(found) -> str:
    """The runs as text, by validation measures and test accuracy; the chosen one marked; undefined is "–"."""
    head = ("run", "validation accuracy", "localisation", "test accuracy", "balanced", "")
    rows = [head]
    for one in found["runs"]:
        if one["failed"] is not None:
            rows.append((one["run"], "", "", "", "", f"failed: {one['failed']}"))
            continue
        measures, test = one["validation"]["measures"], one["test"] or {metric: [None] for metric in METRICS}
        values = (measures["accuracy"], measures["localisation"], *(test[metric][0] for metric in METRICS[:2]))
        texts = (_text(value, scale) for value, scale in zip(values, (100, 1, 100, 100), strict=True))
        rows.append((one["run"], *texts, ", ".join(notes(one, found))))
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    return "\n".join(
        "  ".join(
            f"{text:{'<' if place in (0, len(head) - 1) else '>'}{widths[place]}}" for place, text in enumerate(row)
        ).rstrip()
        for row in rows
    )


def _text(value, scale):
    return "\N{EN DASH}" if value is None else f"{scale * value:.2f}"


def _found(run):
    parts = {
        "accuracy": ("test", _test),
        "comparison": ("difference", _difference),
        "localisation": ("localisation", _localisation),
        "faithfulness": ("faithfulness", _faithfulness),
        "robustness": ("robustness", _robustness),
        "masks": ("masks", _masks),
    }
    found = {"missing": {}, "validation": None} | dict.fromkeys(name for name, _ in parts.values())
    if run is None:
        return found
    found |= {"missing": run.missing, "validation": run.results["measures"].values}
    return found | {name: part(run.results[key]) for key, (name, part) in parts.items() if key in run.results}


def _test(result):
    head = result.values["heads"][0]
    values = {"head": head, "images": result.values["images"], "groups": result.values["groups"]}
    return values | {metric: _plain(result.arrays[f"{head}.{metric}.mean"]) for metric in METRICS}


def _difference(result):
    return {metric: _plain(result.arrays[f"{metric}.mean"][2]) for metric in METRICS}


def _localisation(result):
    """{SET: {"seen", "attributes", "small": how many are reported, and how many of them have a small region,
    "methods": {METHOD: {MEASURE, small.MEASURE: estimate}}, "map_minus": {METHOD: likewise, paired},
    "per_attribute": {NAME: {"images", "area", MEASURE: estimate of the map}}}}"""
    methods, found = result.values["methods"], {}
    for where in result.values["sets"]:
        arrays = {name.removeprefix(f"{where}."): array for name, array in result.arrays.items()}
        reported = np.flatnonzero(~np.isnan(arrays["area"]))
        if not len(reported):
            continue
        keys = [*LOCATED[:2], *(f"small.{measure}" for measure in LOCATED[:2])]
        names = result.values["attributes"]
        found[where] = {
            "seen": result.values["seen"],
            "attributes": len(reported),
            "small": len(result.values[where]["small"]),
            "methods": {
                method: {key: _plain(arrays[f"{key}.mean"][place]) for key in keys}
                for place, method in enumerate(methods)
            },
            "map_minus": {
                method: {key: _plain(arrays[f"{key}.difference.mean"][place]) for key in keys}
                for place, method in enumerate(methods[1:])
            },
            "per_attribute": {
                names[k]: {
                    "images": int(arrays["count"][k]),
                    "area": float(arrays["area"][k]),
                    **{measure: _plain(arrays[measure][k, 0]) for measure in LOCATED[:2]},
                }
                for k in reported
            },
        }
    return found


def _faithfulness(result):
    """{"positions", "channels": [taken away, of], "attributes": how many are reported, and for LOSS of "covering",
    "missed", "channels_removed": {METHOD: estimate}, and LOSS_minus: {METHOD: first method less this, paired}}"""
    found = {
        "positions": result.values["positions"],
        "channels": result.values["channels"],
        "attributes": int((~np.isnan(result.arrays["logit"])).sum()),
    }
    for loss, name, methods in (
        ("covering", "covering", COVERED),
        ("missed", "missed", COVERED),
        ("channels", "channels_removed", REMOVED),
    ):
        mean, difference = (result.arrays[f"{loss}.{suffix}"] for suffix in ("mean", "difference.mean"))
        found[name] = {method: _plain(mean[place]) for place, method in enumerate(methods)}
        found[f"{name}_minus"] = {method: _plain(difference[place]) for place, method in enumerate(methods[1:])}
    return found


def _robustness(result):
    """Of `NOISE` under Gaussian noise: [{"sigma", "variants": {KIND: {"value", "gain": estimate}}, ...}], by sigma.

    KIND: every kind of variant but the pairs. Where something was chosen on validation, "best_pair" and
    "best_control" {"name", "value", "gain"}, else None. "differences" {NAME: estimate} are those that `robustness`
    pairs: `over_control` is the best pair less the best control, X_over_Y is variant X less variant Y.
    """
    values, arrays = result.values, result.arrays
    kinds = [variant["kind"] for variant in values["variants"]]
    single = {kind: place for place, kind in enumerate(kinds) if kind != "pair"}
    noise = [place for place, (corruption, _) in enumerate(values["conditions"]) if corruption == "noise"]
    names = (name.removeprefix(f"{NOISE}.") for name in arrays if name.startswith(f"{NOISE}."))
    paired, found = sorted(name for name in names if "over_" in name), []  # kept arrays come in another order
    for condition in sorted(noise, key=lambda place: values["conditions"][place][1]):
        one = {
            "sigma": values["conditions"][condition][1],
            "variants": {kind: _under_noise(arrays, condition, variant) for kind, variant in single.items()},
            "best_pair": None,
            "best_control": None,
            "differences": {name: _plain(arrays[f"{NOISE}.{name}"][condition]) for name in paired},
        }
        if values["not_chosen"] is None:
            for name, array in (("best_pair", "best"), ("best_control", "control")):
                variant = int(arrays[f"{NOISE}.{array}"][condition])
                named = {"name": _name(values["variants"][variant])}
                one[name] = named | _under_noise(arrays, condition, variant)
        found.append(one)
    return found


def _under_noise(arrays, condition, variant):
    keys = {"value": NOISE, "gain": f"{NOISE}.gain"}
    return {name: _plain(arrays[key][condition, variant]) for name, key in keys.items()}


def _name(variant):
    return f"({variant['a']:g}, {variant['b']:g})" if variant["kind"] == "pair" else variant["kind"]


def _masks(result):
    means = {name: float(np.nanmean(result.arrays[name])) for name in MASKS if np.isfinite(result.arrays[name]).any()}
    return dict.fromkeys(MASKS) | means


def _row(one, found):
    """Of study.csv: every number of a run but those of single attributes, under a dotted name."""
    kept = {name: value for name, value in one.items() if name not in ("run", "failed", "changes", "missing")}
    row = {
        "run": one["run"],
        "note": ", ".join(notes(one, found)),
        "eligible": one["run"] in found["eligible"],
        "failed": one["failed"],
        "changes": in_words(one["changes"]),
    }
    if kept["robustness"]:
        kept["robustness"] = {f"sigma {noise['sigma']:g}": noise | {"sigma": None} for noise in kept["robustness"]}
    return row | dict(_flat(kept, ""))


def _flat(values, prefix):
    for name, value in values.items():
        if value is None or name in ("per_attribute", "positions", "channels"):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and len(value) == 3:
            yield from zip((f"{prefix}{name}{end}" for end in ("", ".low", ".high")), value, strict=True)
        elif isinstance(value, list):
            yield from zip((f"{prefix}{name}{end}" for end in (".low", ".high")), value, strict=True)
        else:
            yield f"{prefix}{name}", value


def _plain(numbers):
    return [None if np.isnan(number) else float(number) for number in numbers]
