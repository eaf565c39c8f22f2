"""What an analysis found of every run: its headline in a table, and what the reports of the runs that matter say."""

from mam_keras.report.blocks import Missing, Section

SECTIONS = {  # {name: (title, analyses, how to read it, why it may be missing)}
    "faithfulness": (
        "Faithfulness",
        ("faithfulness", "deletion"),
        "Whether the network needs what its maps and its most important channels point at. Logits of different runs "
        "have different scales: compare a run with its own controls.",
        "No run has maps.",
    ),
    "robustness": (
        "Robustness",
        ("noise", "robustness"),
        "Balanced accuracy on test images with Gaussian noise: over all sigmas, and at each of them as trained "
        "(identity), with the pair (a, b) and with the control that were best on noisy validation images, and with "
        "what goes with the noise that an image itself shows (automatic). A transformation of the masks is worth its "
        "name where it beats the controls that need none.",
        "No run was tested under noise.",
    ),
    "calibration": (
        "Calibration",
        ("calibration",),
        "How far the probabilities are from how often they are right (expected calibration error), beside what chance "
        "leaves of it on so many images.",
        "No run answered test images.",
    ),
    "masks": (
        "Masks",
        ("masks",),
        "A mask says how far a channel of the features is let through at a position: 0 shut, 1 open.",
        "No run has masks.",
    ),
    "cost": (
        "Cost",
        ("cost",),
        "Numbers that training changes, and the time that an image took in training and takes to be answered: on the "
        "machine of the study, beside whatever else it did meanwhile.",
        "No run was measured.",
    ),
}


def section(name, view):
    """Of one of `SECTIONS`."""
    title, analyses, reading, missing = SECTIONS[name]
    parts = [("test", measure) for measure in view.measures(*analyses)]
    blocks = view.tables(name, "on the test images", parts) if parts else [Missing(missing)]
    return Section(name, title, "", reading, tuple(blocks), tuple(view.sentences(name)))
