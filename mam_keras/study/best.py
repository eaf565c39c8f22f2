"""Which settings are best by a measure, as far as the seeds can tell them apart? Knows plain numbers."""

from dataclasses import dataclass

from mam_keras.study.seeds import LEAST, paired

LOWEST = {  # {measure: whether low is good}; of MEASURE:ATTRIBUTE:OTHER and MEASURE_sigma_S by what is before it
    "top1": False,
    "accuracy": False,
    "balanced_accuracy": False,
    "average_precision": False,
    "calibration_error": True,
    "worst_group": False,
    "apart": False,
    "others_accuracy": False,
    "toggled_other": True,
    "localisation": False,
    "pointing": False,
    "localisation_parts": False,
    "pointing_parts": False,
    "control_wins": True,
    "deletion": True,
    "insertion": False,
    "identity": False,
    "best_control": False,
    "automatic": False,
    "training_ms": True,
    "answering_ms": True,
}


def lowest(measure) -> bool | None:
    """Whether low is good; None of what is neither good nor bad, or of other maps than the network's own."""
    return LOWEST.get(measure.partition(":")[0].partition("_sigma_")[0])


@dataclass(frozen=True)
class Best:
    """What a measure says of settings.

    Attributes:
        first: the one with the best mean over its seeds.
        alike: those that are not measurably behind it, by the 95 % interval of the difference over the seeds that both
            have (`seeds.paired`), not corrected for how many are compared; and those that share fewer than `LEAST`.
        cheapest: of all these, what costs least, as far as that is known; else None.
        shared: how many seeds they share at least, of those that share `LEAST`.
    """

    first: str
    alike: tuple[str, ...]
    cheapest: str | None
    shared: int


def best(values, low=False, costs=None) -> Best | None:
    """Of settings with at least `LEAST` seeds; None where there are not two of them that share as many.

    Args:
        values: {setting: {seed: value or None}}.
        low: whether low is good.
        costs: {setting: what it costs, or None}.
    """
    defined = {name: {seed: value for seed, value in one.items() if value is not None} for name, one in values.items()}
    means = {name: sum(one.values()) / len(one) for name, one in defined.items() if len(one) >= LEAST}
    if len(means) < 2:
        return None
    sign = -1 if low else 1
    first = max(means, key=lambda name: sign * means[name])
    behind = {name: paired(defined[first], defined[name]) for name in means if name != first}
    seeds = [shared for _, shared in behind.values() if shared >= LEAST]
    if not seeds:
        return None
    alike = tuple(name for name, (less, shared) in behind.items() if shared < LEAST or not less.measurable)
    known = {name: costs[name] for name in (first, *alike) if (costs or {}).get(name) is not None}
    return Best(first, alike, min(known, key=known.get, default=None), min(seeds))
