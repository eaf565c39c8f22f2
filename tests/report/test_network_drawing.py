"""The drawing of the network: what any system's settings describe, inside its frame, as text and never as markup."""

import xml.etree.ElementTree as ET

import pytest

from mam_keras import config
from mam_keras.model.backbones import Stage
from mam_keras.report.network_drawing import network
from mam_keras.systems.system import Branch, Drawing, System


def drawn(targets=7, **model):
    values = {"name": "run", "data": {"source": "synthetic_faces"}, "model": model}
    markup, words = network(config.check(values, "run.yaml"), targets)
    root = ET.fromstring(markup)
    return root, [text.text for text in root.iter("text")], words


@pytest.mark.parametrize(
    ("model", "there", "missing"),
    [
        ({"system": "plain"}, ["16 x 16 x 128", "classifier", "mean, linear 128 to 7"], ["mask", "attention"]),
        ({"system": "plain", "pooled_share": 0.25}, ["mean, top 25 %, linear 128 to 7"], []),
        ({"perception": "stage"}, ["16 x 16", "last stage, mean", "linear to 1"], ["16 x 16 x 128"]),
        (
            {"system": "attention_branch", "attention": "multiply", "maps": "per_target"},
            ["perception branch", "attention branch", "16 x 16 x 7", "M", "7 probabilities"],
            ["mask", "1 + M"],
        ),
        ({"system": "attention_branch", "attention": "none"}, ["mean, linear 128 to 7"], ["attention branch"]),
        (
            {"system": "plain", "backbone": {"kind": "resnet", "depth": 14}},
            ["a ResNet-14", "normalisation batch", "16 x 16 x 128"],
            ["front end"],
        ),
    ],
)
def test_a_system_is_drawn_as_its_settings_describe_it(model, there, missing):
    _, texts, words = drawn(**model)
    assert set(there) <= set(texts)
    assert not [text for text in texts for one in missing if one in text]
    assert words.startswith("An image of 64 x 64 pixels goes through ")


def test_a_box_stands_for_each_stage_and_the_coarser_ones_are_marked():
    root, *_ = drawn(system="plain", backbone={"kind": "resnet", "depth": 14})
    stages = [box for box in root.iter("rect") if 90 < float(box.attrib["x"]) < 400]
    assert [box.attrib["class"] for box in stages] == ["box", "box", "strided", "strided"]
    heights = [float(box.attrib["height"]) for box in stages]
    assert heights == [76, 76, 64, 52]


def test_everything_lies_inside():
    for model in ({"system": "plain"}, {"system": "attention_branch"}, {"perception": "stage"}):
        root, *_ = drawn(targets=None, **model)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for box in root.iter("rect"):
            x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height


def test_what_settings_say_stays_text_and_a_system_need_not_be_drawn():
    class Described(System):
        def drawing(self, image_size):
            stages = (Stage("<b>", 2, None),)
            branch = Branch("<script>alert(1)</script>", "K & Kimura", "K answers", "words")
            return Drawing(stages, "an extractor", ("<i>weights</i>",), "1 x 1", (branch,))

    values = config.check({"name": "run", "data": {"source": "synthetic_faces"}}, "run.yaml")
    markup, _ = network(values.model_copy(update={"model": Described()}), 3)
    texts = [text.text for text in ET.fromstring(markup).iter("text")]
    assert {"<script>alert(1)</script>", "3 & Kimura", "3 answers", "<i>weights</i>"} <= set(texts)
    assert network(values.model_copy(update={"model": System()}), 3) is None
