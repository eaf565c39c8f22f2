"""A pair of attributes in the runs that stand beside each other, and what all of them are called."""

from mam_keras.analysis import directing

BESIDE = {"before": "the run before", "control": "the same fine-tuning without the regions"}
OFFSETS = {"balanced_accuracy": "offset for balanced accuracy", "worst_group": "offset for the worst group"}


def pairs(run):
    """(attribute, other) of the pairs of a run with the analysis `groups`, as they were asked for."""
    return [(one["attribute"], one["other"]) for one in run.results["groups"].values["questions"][::2]]


def group_names(asked):
    """{group: how a page calls it} of one of the `questions`."""
    a, b = asked["attribute"], asked["other"]
    return {"both": f"{a} and {b}", "own": f"{a} without {b}", "other": f"{b} without {a}", "neither": "neither"}


class Pair:
    """A directed attribute and another one, in every run that is shown.

    Attributes:
        runs: {"this run", "before", "control": the run}, of those that there are.
        figures: {of these: {MEASURE: Estimate}} of `directing.figures`.
        gains_of: {of the others: the result of `gains`}, where the two have answered the same images.
        gains: {of the others: {MEASURE: Estimate}} of `directing.gains`, what this run is ahead of each by.
    """

    def __init__(self, runs, attribute, other):
        self.runs, self.attribute, self.other = runs, attribute, other
        self.figures = {role: directing.figures(one.results, attribute, other) for role, one in runs.items()}
        self.gains_of = {role: one.results["gains"] for role, one in runs.items() if "gains" in one.results}
        self.gains = {role: directing.gains(one, attribute, other) for role, one in self.gains_of.items()}

    def named(self, role):
        return role if role == "this run" else f"{BESIDE[role]} ({self.runs[role].name})"

    def groups(self, role):
        """The result of `groups`, and which question is this one; None where the run has none."""
        result = self.runs[role].results.get("groups")
        place = None if result is None else directing.question(result, self.attribute, self.other)
        return None if place is None else (result, place)

    @property
    def offset_of(self):
        """The run whose offsets are shown: the one before, or this one where that is not there."""
        return "before" if "before" in self.runs and self.groups("before") else "this run"
