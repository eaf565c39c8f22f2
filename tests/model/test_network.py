"""What is asked of a network, of one that is small enough to be worked out by hand."""

import keras
import numpy as np
import pytest

from mam_keras.data.source import Targets
from mam_keras.model.network import Head, Map, Network

IMAGES = np.float32([[[1, 0, 0], [0, 2, 0]], [[0, 0, 1], [1, 1, 0]]])[None]  # 2 x 2 pixels


def network(exclusive=False, normalisation=False):
    """Features 2 x; logits are the features' means, so 1, 1.5 and 0.5, less 1."""
    image = keras.Input((2, 2, 3))
    features = keras.layers.Rescaling(2.0, name="features")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    if normalisation:
        inner = keras.Sequential([keras.layers.BatchNormalization()], name="inner")
        pooled = inner(pooled)
    logits = keras.layers.Rescaling(1.0, -1.0, name="logits")(pooled)
    twin = keras.layers.Rescaling(-1.0, name="twin")(logits)
    outputs = {"features": features, "answers": logits, "twin": twin}
    heads = Head("answers", 1.0), Head("twin", 0.5)
    return Network(keras.Model(image, [logits, twin]), Targets(("a", "b", "c"), exclusive), outputs, heads, losses=None)


def test_sizes_and_the_head_that_answers():
    found = network()
    assert (found.image_size, found.grid, found.channels, found.main_head) == (2, (2, 2), 3, "answers")


def test_features_and_logits_by_hand():
    found = network()
    np.testing.assert_array_equal(found.features(IMAGES), 2 * IMAGES)
    np.testing.assert_allclose(found.logits(IMAGES), [[0, 0.5, -0.5]], atol=1e-6)
    for k, expected in enumerate((0, 0.5, -0.5)):
        assert float(found.logit(IMAGES, found.features(IMAGES), k)[0]) == pytest.approx(expected)
    both = found.computing("twin", "answers")(IMAGES)
    np.testing.assert_allclose(both["twin"], -np.asarray(both["answers"]), atol=1e-6)
    assert set(found.parts(IMAGES)) == {"features", "answers", "twin"}


def test_one_targets_logit_is_asked_for_alone_where_that_is_possible():
    found = network()
    found.logit_of = lambda features, k: features[:, 0, 0, k]
    assert float(found.logit(IMAGES, found.features(IMAGES), 0)[0]) == 2


def test_each_target_by_itself_or_one_of_all():
    logits = np.float32([[0, 0.5, -0.5], [-1, -2, -3], [2, 2, 1]])
    apart, together = network(), network(exclusive=True)
    np.testing.assert_array_equal(apart.answers(logits), [[1, 1, 0], [0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(together.answers(logits), [[0, 1, 0], [1, 0, 0], [1, 0, 0]])  # the first of equals
    np.testing.assert_allclose(apart.probabilities(logits), 1 / (1 + np.exp(-logits)), rtol=1e-6)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(together.probabilities(logits), shares, rtol=1e-6)
    stacked = np.stack([logits, -logits])  # any number of axes before the targets
    np.testing.assert_array_equal(together.answers(stacked)[0], together.answers(logits))


def test_running_statistics_are_found_inside_models_too():
    assert not network().keeps_statistics
    assert network(normalisation=True).keeps_statistics


def test_a_map_tells_its_size():
    found = network()
    found.maps["own"] = Map("own", "", True, lambda images: found.features(images)[:, :1])
    assert found.map_size("own") == (1, 2)
