"""The page: asks every section for its blocks and fills the template. Computes nothing, reads nothing."""

import base64
import hashlib
import importlib
import re
import urllib.parse

import jinja2
from markupsafe import Markup

from mam_keras.report import blocks, figures, header, quoted, tables
from mam_keras.report.network_drawing import network
from mam_keras.report.sections import SECTIONS

_KINDS = (
    blocks.Paragraph,
    blocks.Missing,
    blocks.Figure,
    blocks.Gallery,
    blocks.Table,
    blocks.Estimate,
    blocks.Explorer,
)


def page(run, others) -> str:
    """One self-contained HTML file about `run`, a `ReportedRun`, compared with `others`."""
    with figures.style():
        sections = [
            _section(importlib.import_module(f"mam_keras.report.sections.{name}"), run, others) for name in SECTIONS
        ]
    environment = _environment()
    style, script = (environment.loader.get_source(environment, name)[0] for name in ("page.css", "page.js"))
    names = header.attributes(run)
    drawing, words = network(run.config, None if names is None else len(names))
    return environment.get_template("page.html.jinja").render(
        run=run,
        sections=sections,
        facts=header.facts(run, others),
        state=header.state(run),
        celeba=quoted.is_celeba(run.config.data),
        network=drawing,
        network_words=words,
        style=style,
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    )


def _section(module, run, others):
    missing = [f"{name}: {run.missing[name]}" for name in module.NEEDS if name in run.missing]
    if missing:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        text = f"Nothing to show here; {'; '.join(missing)}."
        return blocks.Section(name, module.TITLE, "", "", (blocks.Missing(text),))
    return module.section(run, others)


def _environment():
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mam_keras.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": _breakable,
        "csv_uri": _csv_uri,
        "data_uri": _data_uri,
        "explorer_data": _explorer_data,
        "natural_width": _natural_width,
        "order": tables.order,
        "shown": tables.shown,
        "unit": tables.unit,
    }
    environment.tests |= {kind.__name__.lower(): lambda block, kind=kind: isinstance(block, kind) for kind in _KINDS}
    return environment


def _data_uri(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _breakable(text: str) -> Markup:
    """Where a line may break in names like Mouth_Slightly_Open."""
    return Markup("_<wbr>").join(text.split("_"))


def _csv_uri(table: blocks.Table) -> str:
    return f"data:text/csv;charset=utf-8,{urllib.parse.quote(tables.as_csv(table), safe=',.;:()-_=')}"


def _natural_width(markup: str) -> int:
    """Of SVG markup, in CSS pixels: matplotlib gives points."""
    width, unit = re.search(r'\bwidth="([\d.]+)(pt)?"', markup).groups()
    return round(float(width) * (4 / 3 if unit else 1))


def _explorer_data(explorer: blocks.Explorer) -> dict:
    """What page.js needs beside the pictures, the attributes' and the pairs' names, which are in the page already."""
    looks = [
        {name: value for name, value in vars(look).items() if name != "picture"}
        | {"packed": base64.b64encode(look.packed).decode()}
        for _, group in explorer.groups
        for look in group
    ]
    return {"grid": explorer.grid, "looks": looks}
