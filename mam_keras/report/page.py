"""The page: asks every section for its blocks and fills the template. Computes nothing, reads nothing."""

import base64
import hashlib
import importlib
import re
import urllib.parse
from dataclasses import dataclass

import jinja2
from markupsafe import Markup

from mam_keras import analysis
from mam_keras.report import blocks, figures, header, tables, wording
from mam_keras.report.network_drawing import network
from mam_keras.report.opening import opening
from mam_keras.report.sections import QUESTIONS
from mam_keras.statistics import Estimate
from mam_keras.systems.system import Paper

_KINDS = (
    blocks.Paragraph,
    blocks.Missing,
    blocks.Figure,
    blocks.Gallery,
    blocks.Table,
    Estimate,
    blocks.Explorer,
)


@dataclass(frozen=True)
class Front:
    """What stands above and below the sections of a page.

    Attributes:
        name: what the page is about; also begins the names of its CSV files.
        title, lead: the heading and the sentence beneath it.
        facts: pairs of (what, text).
        settings: as YAML.
        computed_from: what the figures come from, as in "computed from this run".
        command: that wrote the page.
        state: why the page may lack what others have, or "".
        celeba: whether it shows faces of CelebA.
        papers: where the systems on the page are from.
        network: SVG markup of the network and the words that stand in for it, or None.
        target: what one of the targets is called.
        archive: name of the file beside it that has all tables and arrays, or "".
    """

    name: str
    title: str
    lead: str
    facts: list[tuple[str, str]]
    settings: str
    computed_from: str
    command: str
    state: str = ""
    celeba: bool = False
    network: tuple[str, str] | None = None
    papers: tuple[Paper, ...] = ()
    target: str = "attribute"
    archive: str = ""


def answers(run, others) -> dict[str, list[blocks.Section]]:
    """{question: the sections that answer it} about `run`, a `ReportedRun`, compared with `others`."""
    with figures.style():
        found = {}
        for question, names in QUESTIONS.items():
            modules = (importlib.import_module(f"mam_keras.report.sections.{name}") for name in names)
            found[question] = [_section(one, run, others) for one in modules if _is_asked(one, run)]
        return found


def page(run, others, questions=None, archive="") -> str:
    """One self-contained HTML file about `run`, a `ReportedRun`, compared with `others`.

    Args:
        questions: of `answers`; asked here when None.
        archive: name of the file beside it that has all tables and arrays, or "".
    """
    questions = answers(run, others) if questions is None else questions
    exclusive = run.targets is not None and run.targets.exclusive
    what = "classes" if exclusive else "many attributes"
    where = f"the images of its {run.config.analysis.split} split"
    if run.other_data:
        where = f"{run.config.analysis.split} images of other data than it was trained with"
    front = Front(
        name=run.name,
        title=f"{run.name}: how good it is, and what it looks at",
        lead=f"A classifier of {what}, examined on {where}.",
        facts=header.facts(run, others),
        settings=run.config.to_yaml(),
        computed_from="this run",
        command="python -m mam_keras.report",
        state=header.state(run),
        celeba=run.config.data.is_celeba,
        papers=run.config.model.PAPERS,
        network=network(run.config, None if run.targets is None else len(run.targets.names)),
        target=wording.target(exclusive),
        archive=archive,
    )
    return render(front, questions, opening(run))


def render(front, questions, first=None) -> str:
    """One self-contained HTML file.

    Args:
        front: `Front`.
        questions: {what is asked: the `blocks.Section`s that answer it}; unasked, "", they are not folded.
        first: `blocks.Opening`, or None.
    """
    shown, lacking = {}, {}
    for question, answers in questions.items():
        shown[question] = [section for section in answers if not (question and section.lacking)]
        for section in answers:
            if question and section.lacking:
                lacking.setdefault(section.lacking, []).append(section.title)
    environment = _environment()
    style, script = (environment.loader.get_source(environment, name)[0] for name in ("page.css", "page.js"))
    return environment.get_template("page.html.jinja").render(
        front=front,
        opening=first,
        questions={question: answers for question, answers in shown.items() if answers},
        lacking=lacking,
        sections=[section for answers in shown.values() for section in answers],
        style=style,
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    )


def _is_asked(module, run):
    """Whether a section's question makes sense: of classes nobody asks how one is answered beside another."""
    if run.targets is None or not run.targets.exclusive:
        return True
    return not any("independent" in analysis.module(name).NEEDS for name in module.NEEDS)


def _section(module, run, others):
    missing = dict.fromkeys(run.missing[name] for name in module.NEEDS if name in run.missing)
    if missing:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        return blocks.Section(name, module.TITLE, "", "", (blocks.Missing(f"{'; '.join(missing)}."),))
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
        "plain": wording.plain,
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
    """What page.js needs beside the pictures, the targets' and the pairs' names, which are in the page already."""
    looks = [
        {name: value for name, value in vars(look).items() if name != "picture"}
        | {"packed": base64.b64encode(look.packed).decode()}
        for _, group in explorer.groups
        for look in group
    ]
    maps = [vars(one) for one in explorer.maps]
    return {name: getattr(explorer, name) for name in ("exclusive", "heads", "grid", "depths")} | {
        "maps": maps,
        "looks": looks,
    }
