"""A study's results made up by hand, as `results.collect` gives them."""

MEASURES = ("accuracy", "balanced_accuracy", "noise_robustness", "localisation", "localised", "mask_mean")


def around(value, half=0.01):
    return [value, value - half, value + half]


def localisation(ratio, grad_cam=1.2, blob=1.8, pointing=0.3, half=0.1, names=("Smiling", "Bangs")):
    """On part masks; differences have intervals of `half` to each side."""
    ratios = {"map": ratio, "grad_cam": grad_cam, "untrained": 1.0, "blob": blob, "uniform": 1.0}

    def both(value, share, half):
        values = {"ratio": around(value, half), "pointing": around(share, half)}
        return values | {f"small.{name}": numbers for name, numbers in values.items()}

    return {
        "parts": {
            "seen": 31,
            "attributes": len(names),
            "small": len(names),
            "methods": {method: both(value, pointing, half) for method, value in ratios.items()},
            "map_minus": {
                method: both(ratio - value, 0.0, half) for method, value in ratios.items() if method != "map"
            },
            "per_attribute": {
                name: {"images": 20, "area": 0.1, "ratio": around(ratio + place, half), "pointing": around(pointing)}
                for place, name in enumerate(names)
            },
        }
    }


def faithfulness(on_map, random, centre):
    return {
        "positions": [26, 256],
        "channels": [3, 32],
        "attributes": 2,
        "covering": {"map": around(on_map), "random": around(random), "centre": around(centre)},
        "covering_minus": {"random": around(on_map - random, 0.05), "centre": around(on_map - centre, 0.05)},
        "missed": {"map": around(0.3), "random": around(0.1), "centre": around(0.2)},
        "channels_removed": {"top": around(2.0), "random": around(0.1)},
        "channels_removed_minus": {"random": around(1.9)},
    }


def robustness(identity, pair, offset, **others):
    """At sigma 0 and 0.2, where all is 0.1 lower; `others` are further kinds of variants."""
    found = []
    for sigma, lost in ((0.0, 0.0), (0.2, 0.1)):
        kinds = {"identity": identity, "offset": offset, **others}
        found.append(
            {
                "sigma": sigma,
                "variants": {
                    kind: {"value": around(value - lost), "gain": around(value - identity)}
                    for kind, value in kinds.items()
                },
                "best_pair": {"name": "(1, 4)", "value": around(pair - lost), "gain": around(pair - identity)},
                "best_control": {"name": "offset", "value": around(offset - lost), "gain": around(offset - identity)},
                "differences": {"over_control": around(pair - offset)},
            }
        )
    return found


def run(name, measures, changes=None, difference=None, **parts):
    """`measures`: values of MEASURES; `difference` in accuracy to the baseline, of the other metrics as well."""
    metrics = ("accuracy", "balanced_accuracy", "average_precision")
    test = {"head": "attributes", "images": 200, "groups": 90}
    return {
        "run": name,
        "changes": changes or {},
        "failed": None,
        "epochs": 6,
        "aided": False,
        "missing": {},
        "validation": {
            "measures": dict(zip(MEASURES, measures, strict=True)) | {"mask_near_zero": 0.5},
            "intervals": {"accuracy": [measures[0] - 0.01, measures[0] + 0.01]},
        },
        "test": test | {metric: around(measures[0]) for metric in metrics},
        "difference": None if difference is None else {metric: around(difference, 0.002) for metric in metrics},
        "localisation": None,
        "faithfulness": None,
        "robustness": None,
        "masks": {"mean": 0.01, "near_zero": 0.98, "near_half": 0.0, "near_one": 0.0, "masked_share": 0.05},
    } | parts


def failed(name, why="the loss became infinite", changes=None):
    empty = ("validation", "test", "difference", "localisation", "faithfulness", "robustness", "masks")
    return {
        "run": name,
        "changes": changes or {},
        "failed": why,
        "epochs": 6,
        "aided": False,
        "missing": {},
    } | dict.fromkeys(empty)


def study(*runs, chosen, unaided=None, eligible=None, most=0.01):
    """The first of the runs is the baseline; `unaided` is the chosen one if left out."""
    return {
        "name": "made-up",
        "baseline": runs[0]["run"],
        "most_accuracy_lost": most,
        "chosen": chosen,
        "unaided": unaided or chosen,
        "eligible": [one["run"] for one in runs if not one["failed"]] if eligible is None else eligible,
        "runs": list(runs),
    }


def typical():
    """A baseline whose maps a blob beats, a chosen run that beats every control, one too costly, one that failed."""
    return study(
        run(
            "papers",
            (0.90, 0.73, 0.55, 1.1, 10, 0.01),
            localisation=localisation(1.25),
            faithfulness=faithfulness(1.4, 0.5, 2.5),
            robustness=robustness(0.73, 0.75, 0.83),
        ),
        run(
            "small_field",
            (0.895, 0.72, 0.56, 2.3, 9, 0.2),
            changes={"model.dilations": (1, 0, 0), "model.channels": 32},
            difference=-0.004,
            localisation=localisation(2.6, names=("Smiling", "Eyeglasses")),
            faithfulness=faithfulness(2.4, 0.5, 0.6),
            robustness=robustness(0.74, 0.74, 0.82, automatic=0.8),
        ),
        run("costly", (0.85, 0.6, 0.58, 4.0, 8, 0.3), changes={"loss.lambda": 0}, difference=-0.05),
        failed("hot", changes={"training.learning_rate": 10.0}),
        chosen="small_field",
        eligible=["papers", "small_field"],
    )
