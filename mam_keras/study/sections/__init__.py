"""The sections of a study's page, in the page's order: each makes a `report.blocks.Section` of a `view.View`."""

from functools import partial

from mam_keras.study.sections import choice, directing, localisation, measured, runs, training

SECTIONS = (
    choice.section,
    runs.section,
    directing.section,
    localisation.section,
    *(partial(measured.section, name) for name in measured.SECTIONS),
    training.section,
)
