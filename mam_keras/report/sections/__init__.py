"""One module per section of the page, in the page's order.

Each has NEEDS, the analyses without which it has nothing to show, TITLE, and `section(run, others)`, which makes a
`blocks.Section` from a `ReportedRun` and those it is compared with.
"""

SECTIONS = (
    "accuracy",
    "comparison",
    "directed",
    "explorer",
    "masks",
    "mask_grids",
    "correlations",
    "transformation",
    "robustness",
    "localisation",
    "faithfulness",
    "depth",
    "toggling",
    "reconstructions",
    "calibration",
    "subgroups",
    "mistakes",
    "training",
    "tuning",
)
