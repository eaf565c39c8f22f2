"""The page as a whole: made of made-up blocks, and of every kind of run."""

import dataclasses
import html
import json
import re
import shutil
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.celeba import Settings as CelebA
from mam_keras.report import blocks, figures
from mam_keras.report import page as pages
from mam_keras.report.reported_run import reported as as_reported
from mam_keras.report.sections import SECTIONS
from mam_keras.statistics import Estimate
from tests.report import markup
from tests.report.conftest import HOSTILE

EVIL = '<script>alert("1")</script>{{ 7 * 7 }}'
UNDEFINED = "\N{EN DASH}undefined"
PIXEL = figures.png(np.zeros((1, 1, 3), np.uint8))


@pytest.fixture
def unfinished(small_run):
    """As while its first epoch is running: no history, no results."""
    run = as_reported(TrainedRun(small_run), {}, dict.fromkeys(analysis.ANALYSES, "the run is not finished"))
    return dataclasses.replace(run, history=[], evaluation=None, environment=None)


@pytest.fixture
def made_up(monkeypatch, unfinished):
    """made_up(*blocks, **section) -> the markup of a page with one section of these blocks."""

    def draw(*parts, **section):
        texts = {"title": EVIL, "answers": EVIL, "reading": EVIL, "summary": (EVIL,)} | section
        made = blocks.Section("made-up", blocks=parts, **texts)
        module = SimpleNamespace(NEEDS=(), TITLE="", section=lambda run, others: made)
        monkeypatch.setattr(pages, "QUESTIONS", {EVIL: ("made_up",)})
        monkeypatch.setattr(pages, "importlib", SimpleNamespace(import_module=lambda name: module))
        return markup.check(pages.page(dataclasses.replace(unfinished, name=EVIL), []))

    return draw


def test_every_text_is_escaped(made_up):
    with figures.style():
        canvas, axes = figures.canvas(2, 1)
        axes.set_title(EVIL, parse_math=False)
        drawing = figures.svg(canvas, "drawing")
    columns = (blocks.Column(EVIL), blocks.Column(EVIL, "number"), blocks.Column(EVIL, "percent"))
    found = made_up(
        blocks.Paragraph(EVIL),
        blocks.Missing(EVIL),
        blocks.Figure("drawing", drawing, EVIL, EVIL),
        blocks.Figure("picture", PIXEL, EVIL, EVIL),
        blocks.Gallery("gallery", EVIL, ((EVIL, (blocks.Cell(PIXEL, EVIL, EVIL),)), ("", ()))),
        blocks.Table("table", EVIL, columns, ((EVIL, EVIL, None), (EVIL, 1.5, Estimate(0.5, 0.4, 0.6))), EVIL),
    )
    assert len(found.all("script")) == 1  # page.js
    assert [found.all(level)[-1][2] for level in ("h2", "h3")] == [EVIL, EVIL]
    assert found.all("title")[0][2].startswith(EVIL)
    assert [one[1]["alt"] for one in found.all("img")] == [EVIL, EVIL]
    assert EVIL in found.all("table")[0][2].replace("\u200b", "")
    assert not any("49" in element[2] for element in found.all("h2"))


def test_texts_in_a_drawing_stay_as_they_are_whatever_the_user_draws_with():
    """A colour that stands for the page's, mathematics, what looks like a reference; and a user's own style."""
    texts = ["#010203", "$x_{1}$", 'url(#a) id="b" href="#c"', "_under", "100 %", "1.23456"]
    with matplotlib.rc_context({"text.usetex": True, "svg.fonttype": "path", "axes.facecolor": "red"}):
        canvas, axes = figures.canvas(3, 2)
        axes.set_yticks(range(len(texts)), labels=texts, parse_math=False)
        drawing = figures.svg(canvas, "drawing")
    assert [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawing)[-len(texts) :]] == texts
    assert "currentColor" in drawing and "#ff0000" not in drawing


def test_undefined_is_said_and_estimates_have_their_interval(made_up):
    columns = (blocks.Column("name"), blocks.Column("share", "percent"), blocks.Column("gain, in points", "percent", 2))
    rows = (("a", 0.5, None), ("b", float("nan"), Estimate(0.015, 0.01, 0.02)), (None, None, None))
    found = made_up(blocks.Table("table", "Caption", columns, rows))
    cells = [cell[2].strip() for cell in found.elements if cell[0] in ("td", "th") and "scope" not in cell[1]]
    assert cells == ["50.0", UNDEFINED, UNDEFINED, "+1.50 +1.00 to +2.00", UNDEFINED, UNDEFINED]
    assert [cell[1].get("data-order") for cell in found.all("td")] == ["0.5", None, None, "0.015", None, None]
    assert [" ".join(head[2].split()) for head in found.all("th", scope="col")] == [
        "name",
        "share %",
        "gain, in points",
    ]


def test_nothing_but_the_pages_own_script_may_run(made_up):
    found = made_up(blocks.Paragraph("text"))
    policy = found.all("meta", **{"http-equiv": "Content-Security-Policy"})[0][1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    assert "script-src 'unsafe-inline'" not in policy


def test_pictures_of_celeba_come_with_their_licence(made_up, unfinished):
    def notices(run):
        return [p[2] for p in markup.check(pages.page(run, [])).all("p", **{"class": "notice"})]

    data = CelebA(source="celeba", directory="somewhere")
    celeba = dataclasses.replace(unfinished, config=unfinished.config.model_copy(update={"data": data}))
    assert not notices(unfinished)
    (notice,) = notices(celeba)
    assert "non-commercial research" in notice


def missing(found):
    """What the page says that it lacks, in its sections and at its end."""
    texts = [p[2] for p in found.all("p", **{"class": "missing"})]
    lists = found.all("dl", **{"class": "facts lacking"})
    return texts + [line for one in lists for line in one[2].split("\n") if line]


def test_a_whole_page_has_every_section_that_shows_something_and_leads_to_them(analysed):
    found = markup.check(analysed[1])
    sections = [one[1]["id"] for one in found.all("section")]
    shown = {name.replace("_", "-") for name in SECTIONS} - {"comparison", "tuning", "subgroups", "positions"}
    assert set(sections) == {"summary", "targets", "about"} | shown
    (navigation,) = found.all("nav")
    assert "Runs compared" not in navigation[2] and "Search for lambda" not in navigation[2]
    assert any("To compare runs on the same images" in text for text in missing(found))
    links = [link[1]["href"] for link in found.all("a") if link[1]["href"].startswith("#")]
    assert set(links) >= {f"#{name}" for name in sections}
    assert len(analysed[1].encode()) < 2_000_000


def test_the_first_screen_says_what_it_does_how_well_and_what_not_to_trust(analysed):
    found = markup.check(analysed[1])
    questions = [dt[2] for dt in found.all("dt") if dt[2].endswith("?")]
    assert questions[0] == "How good is it?" and questions[-1] == "What not to trust it with?"
    assert 4 <= len(questions) <= 6
    findings = [dd[2] for dd in found.all("dd")][: len(questions)]
    assert all(re.search(r"\d", text) and text.strip().endswith("More") for text in findings)
    assert len(found.all("strong")) >= 3  # the numbers
    (lead,) = found.all("p", **{"class": "lead"})
    assert (
        "5 yes-or-no questions about a drawn face" in lead[2] and "test images, none of which it was trained" in lead[2]
    )
    views = found.all("details", **{"class": "target"})
    assert [view[1]["data-target"] for view in views] == list(TrainedRun(analysed[0]).attributes)
    assert all("Answers" in view[2] for view in views)


def test_a_run_still_training_says_what_is_missing(small_run, copied, reported):
    path = copied(small_run)
    for name in ("model.keras", "evaluation.json", "predictions.npz"):
        (path / name).unlink()
    found = markup.check(reported(path))
    texts = missing(found)
    assert texts[0].startswith("This run is not finished: 2 of 2 epochs")
    assert sum("the run is not finished" in text for text in texts) == 2  # it is a reason once, and the explorer's
    assert found.all("figure", id="figure-training-losses")
    (path / "history.csv").unlink()
    (path / "environment.json").unlink()
    assert "0 of 2 epochs" in missing(markup.check(reported(path)))[0]


def test_drawing_again_computes_nothing_even_without_the_model(analysed, copied, reported):
    path = copied(analysed[0])
    (path / "model.keras").unlink()
    assert reported(path) == analysed[1]


def test_a_truncated_result_is_computed_again_and_without_a_model_said_to_be_missing(analysed, copied, reported):
    path = copied(analysed[0])
    for file, size in ((path / "analysis/examples.test.npz", 1000), (path / "analysis/transformation.test.json", 20)):
        file.write_bytes(file.read_bytes()[:size])
    without = copied(path)
    (without / "model.keras").unlink()
    texts = missing(markup.check(reported(without)))
    assert any("No images to explore: the run is finished, but its model is gone" in text for text in texts)
    assert any("the run is finished, but its model is gone" in text and "Your" not in text for text in texts)
    assert reported(path) == analysed[1]


def test_hostile_names_are_text_everywhere(hostile_run, copied, reported, tmp_path):
    path = copied(hostile_run)
    album = tmp_path / "album"
    album.mkdir()
    picture = next(hostile_run.parent.parent.glob("*table*/test*.png"))
    shutil.copy(picture, album / "<script>alert(2)<script>.png")
    (album / "<img src=x onerror=alert(3)>.txt").write_text("junk")
    found = markup.check(reported(path, images=album))
    assert tuple(option[2] for option in found.all("option"))[: len(HOSTILE)] == HOSTILE
    data = json.loads(found.all("script", type="application/json")[0][2])
    assert data["looks"][-1]["title"] == "<script>alert(2)<script>.png"
    assert data["looks"][-1]["labels"] is None
    assert any("<img src=x onerror=alert(3)>.txt" in p[2] for p in found.all("p"))
    for link in found.all("a", **{"class": "download"}):
        assert "%0D%0A=" not in link[1]["href"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "data": {"attributes": ("Smiling",), "train_on_validation": True},
                "model": {"masks": "common", "reconstructor": False},
            },
            ("the network has no reconstructor", "trained on", "all channels share one mask"),
        ),
        ({"model": {"masks": "none", "multi_label_head": False}}, ("the network has no masks",)),
        ({"model": {"attribute_heads": False}}, ("the network has no masks",)),
        ({"model": {"system": "attention_branch"}}, ("the network has no masks", "the network has no reconstructor")),
    ],
)
def test_what_a_run_lacks_is_said_and_the_rest_is_drawn(train_small, reported, changes, said):
    found = markup.check(reported(train_small(**changes)))
    texts = " ".join(missing(found))
    for words in said:
        assert words in texts
    assert found.all("figure", id="figure-accuracy-by-attribute")
    assert "not finished" not in texts


def test_the_page_of_exclusive_classes(classes_run, reported):
    found = markup.check(reported(classes_run))
    text = " ".join(one[2] for one in found.all("p"))
    assert "This classifier says which of 3 classes a picture shows (bottom, middle and top)" in text
    assert "Kimura & Tanaka" not in found.all("header")[0][2]
    assert "3 classes" in found.all("dl", **{"class": "facts"})[0][2]
    for name in ("accuracy-confusion", "calibration-pooled", "correlations-logits", "training-losses"):
        assert found.all("figure", id=f"figure-{name}")
    assert not found.all("figure", id="figure-correlations-labels")
    assert any("the targets exclude each other" in one for one in missing(found))
    assert "Traceback" not in text


@pytest.mark.parametrize("model", [{}, {"masks": "common", "perception": "stage"}])
def test_a_page_of_masks_of_classes_speaks_of_classes_alone(bands, train_small, reported, model):
    """Masks, correlations, curves and depth are there, and nothing speaks of attributes or of whoever has them."""
    page = reported(train_small(data=bands, model=model, training={"epochs": 8}))
    found = markup.check(page)
    drawn = {attributes["id"] for _, attributes, _ in found.elements if "id" in attributes}
    assert {"figure-transformation-curves", "figure-depth-pictures", "figure-masks-statistics"} <= drawn
    assert {"figure-masks-mean", "figure-correlations-attributes"} <= drawn or model.get("masks") == "common"
    settings = "".join(element[2] for element in found.all("pre"))
    text = found.all("body")[0][2].replace(settings, "") + " ".join(
        str(attributes.get(name, ""))
        for _, attributes, _ in found.elements
        for name in ("alt", "aria-label", "title", "placeholder", "content")
    )
    for script in found.all("script"):
        text = text.replace(script[2], "")
    assert "class" in text
    assert not re.findall(r"[^.>]*\b(?:attributes?|faces?|people|persons?)\b[^.<]*", text, re.IGNORECASE)


def test_the_page_says_how_many_labels_are_unknown(unknown_run, reported):
    found = markup.check(reported(unknown_run))
    facts = {dt[2]: dd[2] for dt, dd in zip(found.all("dt"), found.all("dd"), strict=True)}
    assert facts["Unknown labels"].endswith("of the 48 test labels are not known; they are in no figure")
    assert any(
        "of 48 labels" in p[2] and "are not known; what is not known is in no figure" in p[2] for p in found.all("p")
    )
    assert any(head[2].strip() == "never" for head in found.all("th", scope="row"))  # its row is there, and undefined
