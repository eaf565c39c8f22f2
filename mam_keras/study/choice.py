"""Which group of runs of a study is best? On validation alone."""


def choose(measures, baseline, most_lost, accuracy="accuracy", by="localisation") -> tuple[str | None, list[str]]:
    """The group that is best among those that lose little accuracy.

        argmax_g by(g)   over the groups g with   accuracy(g) >= accuracy(baseline) - most_lost

    Args:
        measures: {group: {MEASURE: value or None}}, means over its seeds, on validation.
        baseline: one of them.
        most_lost: of accuracy, as a share.
        accuracy, by: which measures.

    Returns:
        The name, of equally good ones the first; None where none that could be chosen has the measure. And the names
        of all that lose little enough, those without the measure among them.
    """
    least = measures[baseline][accuracy] - most_lost - 1e-9  # what is lost exactly is not too much
    eligible = [name for name, found in measures.items() if found[accuracy] >= least]
    measured = [name for name in eligible if measures[name].get(by) is not None]
    return max(measured, key=lambda name: measures[name][by], default=None), eligible
