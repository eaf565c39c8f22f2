"""The sections of a study's page, in the page's order: each makes a `report.blocks.Section` of a `view.View`."""

from functools import partial

from mam_keras.analysis import directing as figures
from mam_keras.study.sections import choice, directing, localisation, measured, runs, side_by_side, training

_SECTIONS = (  # and the analyses that each is about; None of every study
    (side_by_side.section, None),
    (choice.section, None),
    (runs.section, None),
    (directing.section, figures.ANALYSES),
    (localisation.section, ("localisation",)),
    *((partial(measured.section, name), about) for name, (_, about, *_) in measured.SECTIONS.items()),
    (training.section, None),
)


def asked_about(analyses, exclusive=False):
    """The sections of a study that asks such analyses of its runs; those of which it asks none are left out.

    Of classes, which are `exclusive`, nobody asks how one is answered beside another either.
    """
    found = [section for section, about in _SECTIONS if about is None or set(about).intersection(analyses)]
    return [section for section in found if not exclusive or section is not directing.section]
