"""What stands at the top of the page, and the drawing of the network."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from mam_keras import config
from mam_keras.data.source import Targets
from mam_keras.report import header
from mam_keras.report.network_drawing import network
from mam_keras.report.reported_run import ReportedRun

ENVIRONMENT = {
    "versions": {"keras": "3.15.1"},
    "platform": "Linux",
    "devices": ["/device:CPU:0"],
    "git_revision": None,
    "seed": 1,
    "start": "2026-11-24T01:53:14+00:00",
    "end": "2026-11-24T04:20:31+00:00",
}


def settings(**sections):
    values = {"name": "run", "data": {"source": "synthetic_faces"}} | sections
    return config.check(values, "run.yaml")


def a_run(**changes):
    values = {"name": "run", "config": settings(), "environment": ENVIRONMENT, "history": [{}, {}], "evaluation": None}
    return ReportedRun(**values | {"results": {}, "missing": {}} | changes)


def test_what_when_and_with_what():
    facts = dict(header.facts(a_run(), [SimpleNamespace(name="other")]))
    assert facts["When"] == "started 24 November 2026, 01:53 UTC, finished after 2 h 27 min"
    assert facts["Devices"] == "CPU:0 (1 replica), Linux"
    assert facts["Versions"] == "keras 3.15.1"
    assert facts["Data"] == "faces drawn by the program; prepared to 64 x 64 pixels"
    assert facts["Compared with"] == "other"
    assert facts["Network"].startswith("masked heads (Kimura & Tanaka 2019): features 16 x 16 x 128")
    assert "alpha 1, beta 1, gamma 4, lambda 1e-05" in facts["Loss"]
    assert facts["Training"].startswith("2 of 10 epochs")


def test_a_run_that_has_just_begun_says_so():
    run = a_run(environment=None, history=[])
    assert "not finished: 0 of 10 epochs" in header.state(run)
    assert "When" not in dict(header.facts(run, []))
    unfinished = ENVIRONMENT | {"end": None}
    assert dict(header.facts(a_run(environment=unfinished), []))["When"] == "started 24 November 2026, 01:53 UTC"


def test_targets_are_counted_once_they_are_known():
    evaluation = {"splits": {"test": {"images": 7}}}
    assert "attribute" not in dict(header.facts(a_run(evaluation=evaluation), []))["Data"]
    run = a_run(evaluation=evaluation, targets=Targets(("a", "b")))
    assert "2 attributes, 7 test images" in dict(header.facts(run, []))["Data"]
    assert header.state(run) == ""
    run = a_run(targets=Targets(("a", "b", "c"), exclusive=True))
    assert "3 classes" in dict(header.facts(run, []))["Data"]


def test_every_system_says_what_it_is_and_what_its_loss_weighs():
    run = a_run(config=settings(model={"system": "plain"}, loss={"localisation": 0.5}))
    facts = dict(header.facts(run, []))
    assert facts["Network"].startswith("pooled features and a linear unit: features 16 x 16 x 128")
    assert facts["Loss"] == (
        "class_weights none, label_smoothing 0, localisation 0.5, localisation_by outside, localisation_map own, "
        "localisation_order second"
    )
    undirected = a_run(config=settings(model={"system": "plain"}))
    assert dict(header.facts(undirected, []))["Loss"] == "class_weights none, label_smoothing 0, localisation 0"
    placed = a_run(config=settings(model={"system": "plain", "learned_positions": True}, loss={"spread": 0.02}))
    assert dict(header.facts(placed, []))["Loss"].endswith("localisation 0, spread 0.02")


@pytest.mark.parametrize(
    ("exclusive", "unknown", "said"),
    [
        (False, 0, None),
        (False, None, None),  # of an earlier version
        (False, 4, "4 of the 20 test labels are not known; they are in no figure"),
        (True, 3, "3 of the 10 test labels are not known; they are in no figure"),
    ],
)
def test_how_many_labels_are_unknown(exclusive, unknown, said):
    split = {"images": 10} | ({} if unknown is None else {"unknown": unknown})
    run = a_run(evaluation={"splits": {"test": split}}, targets=Targets(("a", "b"), exclusive))
    assert dict(header.facts(run, [])).get("Unknown labels") == said


@pytest.mark.parametrize("masks", ["per_feature", "common", "none"])
@pytest.mark.parametrize("parts", [(True, True), (False, True), (True, False)])
def test_the_drawing_has_the_runs_sizes_and_no_part_that_it_lacks(masks, parts):
    multi_label, reconstructor = parts
    model = {"channels": 48, "masks": masks, "multi_label_head": multi_label, "reconstructor": reconstructor}
    markup, words = network(settings(model=model), 7)
    drawn = " ".join(text.text for text in ET.fromstring(markup).iter("text"))
    assert "16 x 16 x 48" in drawn
    assert "heads, 7 times" in drawn
    assert ("multi-label head" in drawn) == multi_label == ("one head for all" in words)
    assert ("reconstructor" in drawn) == reconstructor == ("reconstruction" in words)
    assert ("mask M" in drawn) == (masks != "none")
    assert ("16 x 16 x 1 " in f"{drawn} ") == (masks == "common")


def test_everything_drawn_lies_inside():
    for stages, dilations in (((8,), (1,)), ((8, 8, 8), (1, 1, 2, 3, 1, 1, 1, 1, 1, 1))):
        model = {"channels": 8, "front_end": stages, "dilations": dilations, "pooled_share": 0.25}
        markup, _ = network(settings(model=model), None)
        root = ET.fromstring(markup)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for box in root.iter("rect"):
            x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height
        assert "heads, K times" in markup


def test_without_attribute_heads_there_are_none():
    markup, words = network(settings(model={"attribute_heads": False}), 3)
    assert "3 times" not in markup and "3 heads" not in words
