"""Masked heads on a backbone of one's own, trained by Keras's own `fit`."""

import keras
import numpy as np
import pytest

import mam_keras
from mam_keras.model import heads as room
from tests.model.examples import network_of, random_features, random_images, randomize, small_config

IMAGES = random_images(16, 8, 8, 3)
LABELS = (IMAGES.mean(axis=(1, 2))[:, :2] > 0.5).astype("float32")
NAMES = ["Smiling", "Big nose"]


def on_a_backbone(**arguments):
    """A model and its heads."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    heads = mam_keras.MaskedHeads(NAMES, **arguments)
    features = keras.layers.Conv2D(6, 3, 2, "same", activation="relu", name="own")(image)
    return keras.Model(image, heads(features)), heads


@pytest.mark.parametrize("kind, exclusive", [("per_feature", False), ("common", False), ("per_feature", True)])
def test_keras_own_fit_trains_saves_and_loads_it(kind, exclusive, tmp_path):
    model, heads = on_a_backbone(kind=kind, exclusive=exclusive)
    labels = np.eye(2, dtype="float32")[LABELS[:, 0].astype(int)] if exclusive else LABELS
    model.compile(keras.optimizers.Adam(0.03), loss=heads.losses_of())
    targets = heads.targets_of(labels)
    history = model.fit(IMAGES, targets, batch_size=8, epochs=40, validation_data=(IMAGES, targets), verbose=0).history
    assert history["val_loss"][-1] < 0.85 * history["val_loss"][0]
    model.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    found = model.predict(IMAGES, verbose=0)
    assert set(found) == ({"classes"} if exclusive else {"Smiling", "Big_nose"})
    for name, expected in found.items():
        np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0)[name], expected, atol=1e-6)
    np.testing.assert_allclose(loaded.evaluate(IMAGES, targets, verbose=0), model.evaluate(IMAGES, targets, verbose=0))
    assert loaded.get_layer(heads.name).get_config() == heads.get_config()


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_it_is_the_masked_systems_own_head(share):
    """The same weights in both: the same answers, losses, maps and transformed logits."""
    sizes = {"channels": 5, "pooled_share": share, "mask_bias": 0.5}
    network = network_of(small_config(model=sizes, loss={"lambda": 1e-3}), NAMES)
    randomize(network.model)
    own = room.MaskedHeads(NAMES, mask_bias=0.5, sparsity=1e-3, pooled_share=share)
    features = network.features(IMAGES)
    own(features)
    own.scores.set_weights(network.contributions.heads.get_weights())
    own.pooling.set_weights(network.contributions.pooling.get_weights())
    expected = network.model(IMAGES)
    answers = own(features)
    np.testing.assert_allclose(answers["Smiling"], expected["Smiling"], atol=1e-6)
    np.testing.assert_allclose(answers["Big_nose"], expected["Big_nose"], atol=1e-6)
    np.testing.assert_allclose(own.losses, network.model.losses, rtol=1e-5)
    np.testing.assert_allclose(own.contributions(features), network.contributions.scores(features), atol=1e-6)
    np.testing.assert_allclose(own.logits(features, 2.0, 3.0), network.masks.logits(features, 2.0, 3.0), atol=1e-5)
    np.testing.assert_allclose(own.mask(features, "Big nose"), network.masks.mask(features, 1), atol=1e-6)


def test_features_and_maps_are_had_from_the_trained_model():
    model, heads = on_a_backbone()
    features = keras.Model(model.input, heads.input)(IMAGES)
    logits = np.asarray(heads.contributions(features)).mean(axis=(1, 2)) + np.asarray(heads.pooling.bias)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 1:])), model(IMAGES)["Big_nose"], atol=1e-6)


def test_a_label_that_is_not_known_adds_nothing_and_weights_weigh():
    heads = room.MaskedHeads(NAMES)
    labels = np.array([[1, np.nan], [0, 1]], "float32")
    targets, losses = heads.targets_of(labels), heads.losses_of([(1.0, 2.0), (3.0, 4.0)])
    predicted = np.full((2, 1), 0.5, "float32")
    found = {name: float(losses[name](targets[name], predicted)) for name in heads.output_names}
    assert found == pytest.approx({"Smiling": 1.5 * np.log(2), "Big_nose": 2 * np.log(2)})


def test_under_mixed_precision_answers_stay_float32():
    heads = room.MaskedHeads(NAMES, dtype="mixed_bfloat16")
    found = heads(random_features(2, 4, 4, 6))
    assert {keras.backend.standardize_dtype(one.dtype) for one in found.values()} == {"float32"}
    assert heads.scores.compute_dtype == "bfloat16"


def test_arguments_that_cannot_be_are_refused():
    for names in ("Smiling", [], ["a", "a"]):
        with pytest.raises(ValueError, match="Argument `names` must be a list of different names"):
            room.MaskedHeads(names)
    with pytest.raises(ValueError, match="Argument `names` must differ in letters and digits"):
        room.MaskedHeads(["Big nose", "big_nose"])
    with pytest.raises(ValueError, match="Argument `kind` must be one of"):
        room.MaskedHeads(NAMES, kind="own")
    with pytest.raises(ValueError, match=r"Argument `labels` must be \(N, 2\). Received: \(4,\)"):
        room.MaskedHeads(NAMES).targets_of(np.zeros(4))
