"""What one wants to know of an attribute that was to be directed, and of what came with it: figures of many analyses.

Picks them out of results by the names of the two attributes. Reads no run, computes nothing.
"""

from mam_keras.analysis import regions
from mam_keras.analysis.groups import OTHERS, VARIANTS
from mam_keras.analysis.region_tests import SHOWN
from mam_keras.statistics import Estimate

ANALYSES = ("groups", "localisation", "region_tests", "toggling")  # whose results are asked
_OF_GROUPS = {"own_balanced_accuracy": "balanced_accuracy", "worst_group": "worst", "apart": "apart"}
_FITTED = {  # {name: (array of `groups`, by which offset)}
    "fitted_balanced_accuracy": ("balanced_accuracy", "balanced_accuracy"),
    "worst_group_fitted": ("worst", "worst_group"),
    "apart_fitted": ("apart", "worst_group"),
}


def figures(results, attribute, other) -> dict[str, Estimate]:
    """Of one attribute and one other, as far as there are results of them.

    own_balanced_accuracy   of the attribute, over the four groups of `groups`
    worst_group             accuracy in the group in which it is lowest
    with_other, without_other, other_alone, neither
                            accuracy in each group: the first two are E1 and E2 of 1905.00593
    apart                   accuracy where the two differ
    worst_group_fitted      the worst group with an offset of the logit that is fitted for it on validation
    apart_fitted            the same, with that offset
    fitted_balanced_accuracy
                            the balanced accuracy with one that is fitted for that
    others_accuracy, others_balanced_accuracy
                            means over the attributes that were not to be directed
    energy, energy_grad_cam share of the attribute's own map, of its Grad-CAM where that is another one, in its region,
                            over the region's share of the image; energy_parts: of the own map, in part masks
    region_alone, region_alone_blur, region_covered, region_covered_blur
                            balanced accuracy where the region alone is shown, where it is covered; see `region_tests`
    toggled_other, toggled_own
                            what the other attribute, what the attribute itself does to its logit, put alone into a
                            drawn picture

    Args:
        results: {name of an analysis: `Result`}, of any of `ANALYSES`.
    """
    found = {}
    for name, pick in _PICKED.items():
        if name in results:
            found |= pick(results[name], attribute, other)
    return {name: Estimate.of(numbers) for name, numbers in found.items()}


def gains(result, attribute, other) -> dict[str, Estimate]:
    """Of a result of `gains`: this run's `figures` of the groups less the other run's, in pairs, by the same names.

    worst_group_fitted, apart_fitted, fitted_balanced_accuracy: this run as trained, the other with its offset.
    """
    arrays, q = result.arrays, question(result, attribute, other)
    if q is None:
        return {}
    found = {name: arrays[array][q, 0] for name, array in _OF_GROUPS.items()}
    if len(result.values["variants"]) == len(VARIANTS):
        found |= {name: arrays[array][q, VARIANTS.index(variant)] for name, (array, variant) in _FITTED.items()}
    found |= {f"others_{name}": arrays[f"others.{name}"] for name in OTHERS}
    return {name: Estimate.of(numbers) for name, numbers in found.items()}


def question(result, attribute, other):
    """Which question of `groups`, or of `gains`, is about a pair; None where none is."""
    asked = [(one["attribute"], one["other"]) for one in result.values["questions"]]
    return asked.index((attribute, other)) if (attribute, other) in asked else None


def _groups(result, attribute, other):
    arrays, q = result.arrays, question(result, attribute, other)
    if q is None:
        return {}
    found = {name: arrays[array][q, 0] for name, array in _OF_GROUPS.items()}
    names = ("with_other", "without_other", "other_alone", "neither")
    found |= dict(zip(names, arrays["group"][q, 0], strict=True))
    if len(result.values["variants"]) == len(VARIANTS):
        found |= {name: arrays[array][q, VARIANTS.index(variant)] for name, (array, variant) in _FITTED.items()}
    return found | {f"others_{name}": arrays[f"others.{name}"] for name in OTHERS}


def _localisation(result, attribute, other):
    values, arrays = result.values, result.arrays
    if attribute not in values["attributes"]:
        return {}
    k, where = values["attributes"].index(attribute), regions.own(values["sets"])
    found = {"energy": arrays[f"{where}.ratio"][k, 0]}
    if "grad_cam" in values["methods"][1:]:
        found["energy_grad_cam"] = arrays[f"{where}.ratio"][k, values["methods"].index("grad_cam")]
    if regions.PartMasks.name in values["sets"] and where != regions.PartMasks.name:
        found["energy_parts"] = arrays[f"{regions.PartMasks.name}.ratio"][k, 0]
    return found


def _region_tests(result, attribute, other):
    if attribute not in result.values["attributes"]:
        return {}
    where = regions.own(result.values["sets"])
    balanced = result.arrays[f"{where}.balanced_accuracy"][result.values["attributes"].index(attribute)]
    shown = zip(SHOWN[1:], balanced[1:], strict=True)
    return {f"region_{name.removesuffix('_mean')}": numbers for name, numbers in shown}


def _toggling(result, attribute, other):
    names = result.values["attributes"]
    if attribute not in names or other not in names:
        return {}
    effects = result.arrays["effects"][:, names.index(attribute)]
    return {"toggled_other": effects[names.index(other)], "toggled_own": effects[names.index(attribute)]}


_PICKED = dict(zip(ANALYSES, (_groups, _localisation, _region_tests, _toggling), strict=True))
