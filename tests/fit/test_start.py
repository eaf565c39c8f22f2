"""What a network takes over from another: of every system, targets matched by name, and what is said of it.

(Through the command: `test_run.py`; heads that start at the attributes' rates: `test_loop.py`.)
"""

from pathlib import Path

import numpy as np
import pytest

from mam_keras import systems
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.fit.start import of_network, take
from tests.model.examples import network_of, random_images, randomize, relative_error, small_config

THERE, HERE = ("a", "b", "c"), ("c", "new", "a", "another")
IMAGES = random_images(3, 8, 8, 3)
STAGED = {"perception": "stage", "dilations": [1, 2, 1], "normalization": "group"}
BRANCH = {"system": "attention_branch", "dilations": [1, 2, 1], "normalization": "group"}
NETWORKS = {
    "masked": {},
    "masked, common": {"masks": "common"},
    "masked, none": {"masks": "none"},
    "masked, multi-label alone": {"attribute_heads": False},
    "masked, stage": STAGED,
    "masked, stage, common": STAGED | {"masks": "common"},
    "plain": {"system": "plain"},
    "shareable": {"system": "shareable", "attended": ["early"]},
    "branch": BRANCH,
    "branch, stage": BRANCH | {"perception": "stage"},
    "branch, none": BRANCH | {"attention": "none"},
    "branch, one map": BRANCH | {"maps": "one"},
}


def weights(settings, folder, names=THERE, exclusive=False):
    """Of a network with random weights that was saved and loaded, as a run's is; and that network."""
    there = network_of(settings, names, exclusive)
    randomize(there.model)
    there.model.save(folder / "model.keras")
    loaded = systems.load(settings, Targets(names, exclusive), folder / "model.keras")
    return of_network(settings, loaded, Path("runs/there"), "digest"), there


@pytest.mark.parametrize("exclusive", [False, True], ids=["attributes", "classes"])
@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)
def test_shared_targets_answer_as_there_and_the_others_start_new(model, exclusive, tmp_path):
    settings = small_config(model=model)
    found, there = weights(settings, tmp_path, exclusive=exclusive)
    here = network_of(settings, HERE, exclusive)
    before = {variable.path: variable.numpy() for variable in here.model.variables}
    said = take(here, found)
    np.testing.assert_array_equal(here.features(IMAGES), there.features(IMAGES))
    if exclusive and BRANCH.items() <= model.items() and model.get("attention") != "none":
        return  # its map is one of all classes: what the others make of it differs
    if "one" in model.values():
        return
    for head in there.heads:
        answers = [one.computing(head.name)(IMAGES, training=False)[head.name] for one in (here, there)]
        assert relative_error(answers[0].numpy()[:, [0, 2]], answers[1].numpy()[:, [2, 0]]) < 1e-5
    for variable in here.model.variables:
        if (axis := found.counted.get(variable.path)) and len(axis) == 1:
            own = np.take(variable.numpy(), [1, 3], axis=axis[0])
            np.testing.assert_array_equal(own, np.take(before[variable.path], [1, 3], axis=axis[0]))
    assert said[0].startswith("taken from runs/there: the weights of all ")
    assert said[0].endswith("; heads of c, a") and said[1:] == ["new: heads of new, another", "left there: heads of b"]


def test_of_one_map_the_entries_of_both_shared_classes_are_taken(tmp_path):
    """1x1 convolutions from K responses to K scores have an entry for each two targets."""
    settings = small_config(model=BRANCH)
    found, there = weights(settings, tmp_path, exclusive=True)
    here = network_of(settings, HERE, exclusive=True)
    take(here, found)
    own, other = (one.model.get_layer("attention_scores").kernel.numpy()[0, 0] for one in (here, there))
    assert found.counted["attention_scores/kernel"] == (2, 3)
    np.testing.assert_array_equal(own[np.ix_([0, 2], [0, 2])], other[np.ix_([2, 0], [2, 0])])


def test_as_many_targets_of_other_names_start_new(tmp_path):
    settings = small_config()
    found, _ = weights(settings, tmp_path)
    here = network_of(settings, ("x", "y", "z"))
    before = here.model.get_layer("attribute_scores").kernel.numpy()
    said = take(here, found)
    np.testing.assert_array_equal(here.model.get_layer("attribute_scores").kernel.numpy(), before)
    assert said[1:] == [
        "new: heads of x, y, z; layers attribute_scores, attribute_logits, multi_label_logits",
        "left there: heads of a, b, c",
    ]


def test_the_same_network_is_taken_whole_and_classes_are_no_attributes(tmp_path):
    settings = small_config(model={"system": "plain"})
    found, there = weights(settings, tmp_path)
    here = network_of(settings, THERE)
    (line,) = take(here, found)
    assert line.startswith("taken from runs/there: the weights of all ") and line.endswith(" layers")
    np.testing.assert_array_equal(here.logits(IMAGES), there.logits(IMAGES))
    said = take(network_of(settings, THERE, exclusive=True), found)
    assert said[1] == "new: heads of a, b, c; layers scores, logits"


def test_another_system_takes_what_the_two_share(tmp_path):
    found, there = weights(small_config(model={"system": "plain"}), tmp_path)
    here = network_of(small_config(), THERE)
    said = take(here, found)
    np.testing.assert_array_equal(here.features(IMAGES), there.features(IMAGES))
    assert said[1].startswith("new: layers ") and said[2] == "left there: layers scores, logits"


def test_features_of_which_nothing_fits_are_refused(tmp_path):
    """Not even where layers have the same names, or heads would fit."""
    found, _ = weights(small_config(), tmp_path)
    here = network_of(small_config(model={"front_end": [6], "dilations": []}), THERE)
    with pytest.raises(UserError, match=r"^training\.start_from: expected .* Received: runs/there, .* nothing of that"):
        take(here, found)
