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


def section(missing=(), share=1.0, **results):
    model = SimpleNamespace(pooled_share=share, pooling_sharpness=None)
    run = SimpleNamespace(config=SimpleNamespace(model=model), results=results, missing=dict(missing))
    return explorer.section(run, [])


def of(made, kind):
    return [block for block in made.blocks if isinstance(block, kind)]


@pytest.fixture
def photographs():
    run = untrained.run(NAMES, seed=1)
    found = examples.look(run, run.images("test").images[:2])
    left_out = [["notes.txt", "not an image"]]
    return Result(found.values | {"left_out": left_out}, found.arrays | {"ids": np.array(["<b>.jpg", "b.jpg"])})


@pytest.mark.parametrize(("masks", "channels"), [("per_feature", 3), ("common", 1), ("none", 0)])
def test_every_look_holds_what_the_analysis_found(masks, channels):
    found = examples.compute(untrained.run(NAMES, masks=masks))
    (block,) = of(section(examples=found), Explorer)
    assert block.attributes == NAMES
    assert len(block.pairs) == len(found.values["pairs"])
    assert block.pairs[0] == "(1, 1) identity"
    ((_, looks),) = block.groups
    assert [look.title for look in looks] == found.arrays["ids"].tolist()
    for row, look in enumerate(looks):
        content = np.frombuffer(zlib.decompress(look.packed), np.int8)
        maps = found.arrays["maps"][row]
        np.testing.assert_array_equal(content[: maps.size].reshape(maps.shape), maps)
        assert content.size - maps.size == len(NAMES) * channels * np.prod(block.grid)
        if channels:
            np.testing.assert_array_equal(content[maps.size :], found.arrays["masks"][row].ravel())
        assert look.labels == found.arrays["labels"][row].tolist()
        np.testing.assert_allclose(look.probabilities, found.arrays["probabilities"][row], atol=1e-5)
        np.testing.assert_allclose(look.multi_label, found.arrays["multi_label"][row], atol=1e-5)
        assert [len(values) for values in look.highest] == [channels] * len(NAMES)


def test_photographs_stand_beside_the_images_or_alone(photographs):
    found = examples.compute(untrained.run(NAMES))
    both = section(examples=found, photographs=photographs)
    (block,) = of(both, Explorer)
    assert [title for title, _ in block.groups] == ["Images of the split", "Your photographs"]
    assert [look.labels for look in block.groups[1][1]] == [None, None]
    assert any("Left out of your folder: notes.txt (not an image)" in p.text for p in of(both, Paragraph))
    alone = section({"examples": "the data have no test split"}, photographs=photographs)
    assert [missing.text for missing in of(alone, Missing)] == ["No images to explore: the data have no test split."]
    assert len(of(alone, Explorer)[0].groups) == 1


def test_with_nothing_to_explore_it_says_why():
    made = section({"examples": "no heads", "photographs": "the run is not finished"})
    assert [type(block) for block in made.blocks] == [Missing, Missing]


def test_a_page_holds_no_more_than_it_can_bear(monkeypatch, photographs):
    found = examples.compute(untrained.run(NAMES))
    each = found.arrays["maps"][0].nbytes + found.arrays["masks"][0].nbytes
    monkeypatch.setattr(explorer, "MOST", 2 * 3 * each)
    looks = [looks for _, looks in of(section(examples=found, photographs=photographs), Explorer)[0].groups]
    assert [len(group) for group in looks] == [3, 2]


def test_how_the_logit_is_made_of_the_map_is_said():
    assert "the logit is a bias plus their mean. " in section().reading
    assert "their mean over the highest 25 % of the positions." in section(share=0.25).reading
