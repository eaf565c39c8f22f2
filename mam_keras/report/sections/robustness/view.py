"""The analysis `robustness` by names: its variants, conditions, estimates, and what they are called."""

import numpy as np

from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.report import wording
from mam_keras.statistics import Estimate

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "average_precision": "average precision",
}
NAMES = {
    "identity": "identity",
    "unmasked": "a = 0",
    "offset": "offset",
    "unmasked_offset": "a = 0 with offset",
    "adapted": "batch statistics",
    "adapted_offset": "batch statistics with offset",
}
_CHOSEN = ("pair", "pair_offset", "automatic", "automatic_offset")


class View:
    """The result, by names.

    Attributes:
        metrics: {metric: what it is called}.
        kinds: {kind: index of the variant}, of kinds that are there once.
        pairs: indices of the variants with a pair of `analysis.pairs`, the identity left out.
        bends, scales: the values of b and of a among them.
        chosen: whether anything was chosen on validation.
        noise: the conditions of Gaussian noise, by rising sigma.
        sigmas: theirs.
        others: names of the other corruptions.
        heads: names of the further heads among the kinds.
    """

    def __init__(self, found):
        self.values, self.arrays = found.values, found.arrays
        self.metrics = METRICS | ({"accuracy": "top-1 accuracy"} if found.values["exclusive"] else {})
        self.variants, self.conditions = found.values["variants"], found.values["conditions"]
        self.kinds = {variant["kind"]: index for index, variant in enumerate(self.variants)}
        self.pairs = [index for index, variant in enumerate(self.variants) if variant["kind"] == "pair"]
        self.bends, self.scales = (sorted({self.variants[index][which] for index in self.pairs}) for which in "ba")
        self.chosen = found.values["not_chosen"] is None
        self.noise = sorted(self.of("noise"), key=lambda index: self.conditions[index][1])
        self.sigmas = [self.conditions[index][1] for index in self.noise]
        self.others = [name for name in CORRUPTIONS if name != "noise" and self.of(name)]
        self.heads = [kind for kind in self.kinds if kind not in (*NAMES, *_CHOSEN)]

    def of(self, corruption):
        """The conditions of a corruption."""
        return [index for index, (name, _) in enumerate(self.conditions) if name == corruption]

    def name(self, variant):
        one = self.variants[variant]
        if one["kind"] == "pair":
            return f"({one['a']:g}, {one['b']:g})"
        return NAMES.get(one["kind"]) or wording.head(one["kind"])

    def curve(self, metric, variants, conditions):
        """In percent: value and ends of the interval (3, conditions) of the variant named for every condition."""
        conditions = np.array(conditions, int)
        return 100 * self.arrays[metric][conditions, np.broadcast_to(variants, len(self.conditions))[conditions]].T

    def best_gain(self, metric, condition):
        """What the pair chosen on validation gains over the identity."""
        return self.estimate(f"{metric}.gain", condition, self.arrays[f"{metric}.best"][condition])

    def estimate(self, key, condition, variant=None):
        row = self.arrays[key][condition]
        return Estimate.of(row if variant is None else row[variant])
