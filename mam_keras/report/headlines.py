"""How pages call and show the measures that analyses give as their headline."""

from dataclasses import replace

from mam_keras.report.blocks import Column

_COLUMNS = {
    "top1": Column("top-1 accuracy", "percent"),
    "accuracy": Column("accuracy", "percent"),
    "balanced_accuracy": Column("balanced accuracy", "percent"),
    "average_precision": Column("average precision", "percent"),
    "f1": Column("F1", "percent"),
    "noise_robustness": Column("balanced accuracy under noise", "percent"),
    "localisation": Column("localisation (1 is chance)", "number", 2),
    "pointing": Column("pointing game", "percent"),
    "localisation_parts": Column("localisation in part masks (1 is chance)", "number", 2),
    "pointing_parts": Column("pointing game, part masks", "percent"),
    "localised_parts": Column("attributes localised in part masks", "integer"),
    "localised": Column("attributes localised", "integer"),
    "covering": Column("logit lost by covering what the map marks", "number", 2),
    "control_wins": Column("attributes that a covered control costs more", "integer"),
    "deletion": Column("deletion, area", "number", 3),
    "insertion": Column("insertion, area", "number", 3),
    "own_balanced_accuracy": Column("its balanced accuracy", "percent"),
    "fitted_balanced_accuracy": Column("its balanced accuracy, offset fitted", "percent"),
    "worst_group": Column("worst group", "percent"),
    "worst_group_fitted": Column("worst group, offset fitted", "percent"),
    "apart": Column("accuracy where they differ", "percent"),
    "apart_fitted": Column("accuracy where they differ, offset fitted", "percent"),
    "with_other": Column("with the other (E1)", "percent"),
    "without_other": Column("without the other (E2)", "percent"),
    "other_alone": Column("the other alone", "percent"),
    "neither": Column("neither", "percent"),
    "others_accuracy": Column("accuracy of all others", "percent"),
    "others_balanced_accuracy": Column("balanced accuracy of all others", "percent"),
    "energy": Column("energy of its map in its region (1 is chance)", "number", 2),
    "energy_parts": Column("energy of its map in the part masks (1 is chance)", "number", 2),
    "region_alone": Column("balanced accuracy, region alone", "percent"),
    "region_alone_blur": Column("balanced accuracy, rest blurred", "percent"),
    "region_covered": Column("balanced accuracy, region covered", "percent"),
    "region_covered_blur": Column("balanced accuracy, region blurred", "percent"),
    "toggled_other": Column("logit moved by the other alone", "number", 2),
    "toggled_own": Column("logit moved by itself alone", "number", 2),
    "calibration_error": Column("calibration error", "percent"),
    "parameters": Column("parameters", "integer"),
    "training_ms": Column("ms of training an image", "number", 2),
    "answering_ms": Column("ms of answering an image", "number", 2),
    "mask_mean": Column("mean mask value", "number", 3),
    "mask_near_zero": Column("mask values under 0.1", "percent"),
}
_CONTROLS = {
    "_seen": "contributions over what is seen",
    "_grad_cam": "Grad-CAM",
    "_untrained": "random weights",
    "_blob": "centre blob",
    "_positions": "learned positions alone",
    "_random": "random blocks",
    "_centre": "the middle",
    "_chance": "by chance",
}


def column(measure) -> Column:
    """Of a measure in a table, or of its control MEASURE_CONTROL; an unknown one is called by its own name.

    MEASURE:ATTRIBUTE:OTHER is one of `analysis.directing.figures`, called as it is in a table about these two.
    """
    measure = measure.partition(":")[0]
    for ending, control in _CONTROLS.items():
        if (own := measure.removesuffix(ending)) in _COLUMNS and own != measure:
            return replace(_COLUMNS[own], title=f"{_COLUMNS[own].title}: {control}")
    kind, _, sigma = measure.partition("_sigma_")
    if sigma:
        return Column(f"{kind.replace('_', ' ')}, sigma {sigma}", "percent")
    return _COLUMNS.get(measure) or Column(measure.replace("_", " "), "number", 2)


def shown(measure, value) -> str:
    """A value in a sentence: "89.5 %", "1.25"; "undefined" for None."""
    if value is None:
        return "undefined"
    how = column(measure)
    return f"{100 * value:.{how.digits}f} %" if how.kind == "percent" else f"{value:.{how.digits}f}"
