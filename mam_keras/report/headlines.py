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
    "localised": Column("attributes localised", "integer"),
    "covering": Column("logit lost by covering what the map marks", "number", 2),
    "deletion": Column("deletion, area", "number", 3),
    "insertion": Column("insertion, area", "number", 3),
    "mask_mean": Column("mean mask value", "number", 3),
    "mask_near_zero": Column("mask values under 0.1", "percent"),
}
_CONTROLS = {
    "_grad_cam": "Grad-CAM",
    "_untrained": "random weights",
    "_blob": "centre blob",
    "_random": "random blocks",
    "_centre": "the middle",
}


def column(measure) -> Column:
    """Of a measure in a table, or of its control MEASURE_CONTROL; an unknown one is called by its own name."""
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
