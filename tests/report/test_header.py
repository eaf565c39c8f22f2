"""What stands at the top of the page, and the drawing of the network."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from mam_keras import config
from mam_keras.analysis.result import Result
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
    assert "alpha 1, beta 1, gamma 4, lambda 1e-05" in facts["Network"]
    assert facts["Training"].startswith("2 of 10 epochs")


def test_a_run_that_has_just_begun_says_so():
    run = a_run(environment=None, history=[])
    assert "not finished: 0 of 10 epochs" in header.state(run)
    assert "When" not in dict(header.facts(run, []))
    unfinished = ENVIRONMENT | {"end": None}
    assert dict(header.facts(a_run(environment=unfinished), []))["When"] == "started 24 November 2026, 01:53 UTC"


def test_attributes_are_known_from_results_evaluation_or_settings():
    evaluation = {"splits": {"test": {"images": 7, "heads": {"attributes": {"per_attribute": {"a": {}, "b": {}}}}}}}
    assert header.attributes(a_run()) is None
    assert header.attributes(a_run(evaluation=evaluation)) == ("a", "b")
    assert header.attributes(a_run(evaluation={"splits": {}})) is None
    assert header.attributes(a_run(results={"accuracy": Result({"attributes": ["c"]})})) == ("c",)
    assert header.state(a_run(evaluation=evaluation)) == ""
    assert "2 attributes, 7 test images" in dict(header.facts(a_run(evaluation=evaluation), []))["Data"]


@pytest.mark.parametrize("masks", ["per_feature", "common", "none"])
@pytest.mark.parametrize("parts", [(True, True), (False, True), (True, False)])
def test_the_drawing_has_the_runs_sizes_and_no_part_that_it_lacks(masks, parts):
    multi_label, reconstructor = parts
    model = {"channels": 48, "masks": masks, "multi_label_head": multi_label, "reconstructor": reconstructor}
    markup, words = network(settings(model=model), 7)
    drawn = " ".join(text.text for text in ET.fromstring(markup).iter("text"))
    assert "16 x 16 x 48" in drawn
    assert "attribute heads, 7 times" in drawn
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
        assert "attribute heads, K times" in markup


def test_without_attribute_heads_there_are_none():
    markup, words = network(settings(model={"attribute_heads": False}), 3)
    assert "attribute heads" not in markup + words
