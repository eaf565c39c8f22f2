"""The page: asks every section for its blocks and fills the template. Computes nothing, reads nothing."""

import base64
import importlib

import jinja2

from mam_keras.report import blocks, figures
from mam_keras.report.sections import SECTIONS


def page(run, others) -> str:
    """One self-contained HTML file about `run`, a `ReportedRun`, compared with `others`."""
    with figures.style():
        sections = [
            _section(importlib.import_module(f"mam_keras.report.sections.{name}"), run, others) for name in SECTIONS
        ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mam_keras.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    environment.tests |= {
        kind.__name__.lower(): lambda block, kind=kind: isinstance(block, kind)
        for kind in (blocks.Paragraph, blocks.Missing, blocks.Figure, blocks.Gallery, blocks.Table, blocks.Estimate)
    }
    return environment.get_template("page.html.jinja").render(run=run, others=others, sections=sections)


def _section(module, run, others):
    missing = [f"{name}: {run.missing[name]}" for name in module.NEEDS if name in run.missing]
    if missing:
        text = f"Nothing to show here; {'; '.join(missing)}."
        return blocks.Section(module.__name__.rpartition(".")[2], module.TITLE, "", "", (blocks.Missing(text),))
    return module.section(run, others)


def _data_uri(picture: bytes, kind="image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"
