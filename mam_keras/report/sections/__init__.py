"""One module per section of the page, under the questions of the page that they answer, in its order.

Each has NEEDS, the analyses without which it has nothing to show, TITLE, and `section(run, others)`, which makes a
`blocks.Section` from a `ReportedRun` and those it is compared with.
"""

QUESTIONS = {
    "How often is it right?": ("accuracy", "comparison", "subgroups", "mistakes", "calibration"),
    "Where does it look?": ("explorer", "localisation", "positions", "mask_grids", "masks", "correlations"),
    "Does the answer depend on what is there?": ("directed", "faithfulness", "depth", "toggling"),
    "What if pictures get worse?": ("robustness", "transformation"),
    "How was it trained?": ("training", "tuning", "reconstructions"),
}
SECTIONS = tuple(name for names in QUESTIONS.values() for name in names)
