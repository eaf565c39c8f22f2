"""What the explorer is given: exactly what the analyses found, and no more than a page can bear."""

import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import examples
from mam_keras.analysis.result import Result
from mam_keras.report.blocks import Explorer, Missing, Paragraph
from mam_keras.report.sections import explorer
from tests.analysis import untrained

NAMES = ("Smiling", "Hat", "Bangs", "Goatee")


def section(missing=(), **results):
    return explorer.section(SimpleNamespace(results=results, missing=dict(missing)), [])


def found_by(**model):
    return examples.compute(untrained.run(NAMES, **model), "test")


def of(made, kind):
    return [block for block in made.blocks if isinstance(block, kind)]


@pytest.fixture
def photographs():
    run = untrained.run(NAMES, seed=1)
    found = examples.look(run, run.images("test").images[:2])
    left_out = [["notes.txt", "not an image"]]
    return Result(found.values | {"left_out": left_out}, found.arrays | {"ids": np.array(["<b>.jpg", "b.jpg"])})


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        ({}, 3),
        ({"masks": "common"}, 1),
        ({"masks": "none"}, 0),
        ({"perception": "stage"}, 0),
        ({"system": "plain"}, 0),
        ({"system": "attention_branch"}, 0),
        ({"system": "attention_branch", "maps": "one"}, 0),
    ],
)
def test_every_look_holds_what_the_analysis_found(model, channels):
    found = found_by(**model)
    (block,) = of(section(examples=found), Explorer)
    assert block.targets == NAMES
    assert len(block.pairs) == len(found.values["pairs"])
    assert block.pairs[:1] in (("(1, 1) identity",), ())
    assert [one.title.lower() for one in block.maps] == [one["title"].lower() for one in found.values["maps"].values()]
    deep = [name.startswith("depth.") for name in found.values["maps"]]
    assert deep == sorted(deep)  # they are the last ones
    assert block.depths == sum(deep) == (0 if model == {"perception": "stage"} else 2)  # its trunk has a single stage
    assert not any(deep) or block.maps[-1].title == "Grad-CAM at features"
    ((_, looks),) = block.groups
    assert [look.title for look in looks] == found.arrays["ids"].tolist()
    for row, look in enumerate(looks):
        content, start = np.frombuffer(zlib.decompress(look.packed), np.int8), 0
        for index, (name, shown) in enumerate(zip(found.values["maps"], block.maps, strict=True)):
            maps = found.arrays[f"map.{name}"][row]
            assert shown.size == maps.shape
            np.testing.assert_array_equal(content[start : start + maps.size].reshape(maps.shape), maps)
            np.testing.assert_allclose(look.scales[index], found.arrays[f"scale.{name}"][row], rtol=1e-4)
            start += maps.size
        assert content.size - start == len(NAMES) * channels * np.prod(block.grid)
        if channels:
            np.testing.assert_array_equal(content[start:], found.arrays["masks"][row].ravel())
        assert look.labels == found.arrays["labels"][row].tolist()
        np.testing.assert_allclose(look.probabilities, found.arrays["probabilities"][row], atol=1e-5)
        assert look.answers == found.arrays["answers"][row].tolist()
        for own, head in zip(look.others, found.values["heads"][1:], strict=True):
            np.testing.assert_allclose(own, found.arrays[f"head.{head}"][row], atol=1e-5)
        assert [len(values) for values in look.highest] == [channels] * len(NAMES)


def test_a_label_that_is_not_known_is_none():
    found = found_by()
    found.arrays["known"][0, 2] = False
    (block,) = of(section(examples=found), Explorer)
    ((_, looks),) = block.groups
    assert looks[0].labels == [*found.arrays["labels"][0, :2].tolist(), None, bool(found.arrays["labels"][0, 3])]


def test_photographs_stand_beside_the_images_or_alone(photographs):
    both = section(examples=found_by(), photographs=photographs)
    (block,) = of(both, Explorer)
    assert [title for title, _ in block.groups] == ["Images of the split", "Your photographs"]
    assert [look.labels for look in block.groups[1][1]] == [None, None]
    assert any("Left out of your folder: notes.txt (not an image)" in p.text for p in of(both, Paragraph))
    alone = section({"examples": "the data have no test split"}, photographs=photographs)
    assert [missing.text for missing in of(alone, Missing)] == ["No images to explore: the data have no test split."]
    assert len(of(alone, Explorer)[0].groups) == 1


def test_with_nothing_to_explore_it_says_why():
    made = section({"examples": "the network has no maps", "photographs": "the run is not finished"})
    assert [type(block) for block in made.blocks] == [Missing, Missing]


def test_a_page_holds_no_more_than_it_can_bear(monkeypatch, photographs):
    found = found_by()
    drawn = [*(f"map.{name}" for name in found.values["maps"]), "masks"]
    monkeypatch.setattr(explorer, "MOST", 2 * 3 * sum(found.arrays[name][0].nbytes for name in drawn))
    looks = [looks for _, looks in of(section(examples=found, photographs=photographs), Explorer)[0].groups]
    assert [len(group) for group in looks] == [3, 2]


def test_how_the_logit_is_made_of_the_map_is_said():
    assert "the logit is a bias plus their mean. " in section(examples=found_by()).reading
    assert "their mean over the highest 25 % of the positions." in section(examples=found_by(pooled_share=0.25)).reading
    assert "the logit is a bias" not in section(examples=found_by(perception="stage")).reading


def test_classes_are_called_so_and_the_most_probable_answers():
    made = section(examples=found_by(exclusive=True))
    (block,) = of(made, Explorer)
    assert block.exclusive and "the most probable class is the answer" in made.reading
    for _, looks in block.groups:
        for look in looks:
            assert np.sum(look.answers, axis=0).tolist() == [1] * len(block.pairs)
    assert "labelled with the chosen class" in of(made, Paragraph)[0].text


def paragraphs(found):
    return " ".join(p.text for p in of(section(examples=found_by(), photographs=found), Paragraph))


def test_photographs_unlike_the_images_of_training_are_marked_and_the_rule_is_said(photographs):
    assert "was not judged: they were looked at by an earlier version" in paragraphs(photographs)
    told = {"split": "validation", "references": 500, "alarms": 0.012, "images": 1000}
    judged = Result(photographs.values | {"likeness": told}, photographs.arrays | {"unlike": np.array([True, False])})
    said = paragraphs(judged)
    assert "are 1 of 2 (<b>.jpg)" in said and "as 1.2 % of its own 1,000 images are" in said
    (block,) = of(section(photographs=judged), Explorer)
    assert [look.unlike for look in block.groups[0][1]] == [True, False]


def test_a_reason_that_holds_for_many_files_is_said_once(photographs):
    many = [[f"{number}.jpg", "only the first 24 are shown"] for number in range(1400)] + [["a.txt", "not a JPEG"]]
    said = paragraphs(Result(photographs.values | {"left_out": many}, photographs.arrays))
    assert said.count("only the first 24") == 1
    assert "9.jpg and 1390 more (only the first 24 are shown); a.txt (not a JPEG)" in said
