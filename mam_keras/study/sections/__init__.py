"""One module per section of a study's page, in the page's order.

Each has `section(view)`, which makes a `report.blocks.Section` from a `view.View`.
"""

SECTIONS = ("choice", "runs", "localisation", "faithfulness", "robustness", "masks", "training")
