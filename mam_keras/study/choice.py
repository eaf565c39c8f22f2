"""Which run of a study is best? On validation alone."""


def choose(measures, baseline, most_lost) -> tuple[str | None, list[str]]:
    """The run whose maps localise best among those that lose little accuracy.

        argmax_r localisation(r)   over the runs r with   accuracy(r) >= accuracy(baseline) - most_lost

    Args:
        measures: {run: {MEASURE: value or None}} of `analysis.measures`, on validation.
        baseline: one of them.
        most_lost: of accuracy, as a share.

    Returns:
        The name, of equally good ones the first; None where no run that could be chosen has a localisation. And the
        names of all runs that lose little enough, those without localisation among them.
    """
    least = measures[baseline]["accuracy"] - most_lost - 1e-9  # what is lost exactly is not too much
    eligible = [name for name, found in measures.items() if found["accuracy"] >= least]
    located = [name for name in eligible if measures[name]["localisation"] is not None]
    return max(located, key=lambda name: measures[name]["localisation"], default=None), eligible
