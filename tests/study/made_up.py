"""A study's results made up by hand, as `results.collect` gives them."""

import types

from mam_keras.study import results

MEASURES = {
    "accuracy": ["accuracy", "balanced_accuracy"],
    "noise": ["noise_robustness"],
    "robustness": ["identity_sigma_0.2"],
    "localisation": ["localisation", "pointing"],
    "faithfulness": ["map_over_random"],
    "masks": ["mask_mean"],
}
VALIDATION = ("accuracy", "balanced_accuracy", "noise_robustness", "localisation", "localised", "mask_mean")


def around(value, half=0.01):
    return [value, value - half, value + half]


def run(name, validation, changes=None, difference=None, group=None, seed=0, **test):
    """`validation`: values of VALIDATION; `difference`: in accuracy, to the baseline; `test`: {MEASURE: value}."""
    measured = {"accuracy": validation[0], "balanced_accuracy": validation[1], "mask_mean": 0.01} | test
    values = dict(zip(VALIDATION, validation, strict=True))
    return {
        "run": name,
        "group": group or name,
        "seed": seed,
        "changes": changes or {},
        "failed": None,
        "epochs": 6,
        "aided": False,
        "missing": {},
        "validation": {measure: around(value) for measure, value in values.items() if value is not None},
        "test": {measure: around(value) for measure, value in measured.items() if value is not None},
        "difference": {} if difference is None else {"accuracy": around(difference, 0.002)},
    }


def failed(name, why="the loss became infinite", changes=None, group=None):
    empty = {"failed": why, "validation": {}, "test": {}, "difference": {}}
    return run(name, (0, 0, None, None, None, None), changes, group=group) | empty


def study(*runs, choose_by="localisation", most=0.01, measures=None, pairs=()):
    """The first of the runs is of the baseline."""
    rule = types.SimpleNamespace(choose_by=choose_by, most_accuracy_lost=most)
    named = types.SimpleNamespace(name="made-up", baseline=runs[0]["group"], file=rule, pairs=pairs)
    return results.tabulated(named, list(runs), measures or MEASURES)


def typical():
    """A baseline, a chosen run, one too costly, one that failed: one seed each."""
    return study(
        run("papers", (0.90, 0.73, 0.55, 1.1, 10, 0.01), localisation=1.25, pointing=0.3, map_over_random=0.9),
        run(
            "small_field",
            (0.895, 0.72, 0.56, 2.3, 9, 0.2),
            changes={"model.dilations": (1, 0, 0), "model.channels": 32},
            difference=-0.004,
            localisation=2.6,
            pointing=0.5,
            map_over_random=1.9,
            noise_robustness=0.57,
            **{"identity_sigma_0.2": 0.64},
        ),
        run("costly", (0.85, 0.6, 0.58, 4.0, 8, 0.3), changes={"loss.lambda": 0}, difference=-0.05),
        failed("hot", changes={"training.learning_rate": 10.0}),
    )


def measured(settings, told=()):
    """Runs of settings: {setting: {MEASURE: its value for each seed}}; `told` names those that were told where."""
    return [
        run(
            f"{name}-seed{seed}",
            (0.9, 0.9, None, None, None, None),
            group=name,
            seed=seed,
            **{measure: values[seed - 1] for measure, values in of.items()},
        )
        | {"aided": name in told}
        for name, of in settings.items()
        for seed in range(1, 1 + len(next(iter(of.values()))))
    ]


def seeded(own=(0.91, 0.92, 0.93), base=(0.90, 0.90, 0.90), **changes):
    """Two settings of exclusive targets, without masks or regions, a run for every seed."""
    names = ("top1", "balanced_accuracy")
    found = []
    for group, values in (("g", base), ("gM", own)):
        for seed, value in enumerate(values, 1):
            one = run(f"{group}-seed{seed}", (value, value, None, None, None, None), group=group, seed=seed)
            one["changes"] = ({} if group == "g" else {"model.residual": False}) | {"seed": seed}
            one |= {part: {name: around(value, 0.05) for name in names} for part in ("validation", "test")}
            one["difference"] = {} if group == "g" else {"top1": around(value - base[seed - 1], 0.05)}
            found.append(one)
    return study(*found, choose_by="accuracy", measures={"accuracy": list(names)}, **changes)
