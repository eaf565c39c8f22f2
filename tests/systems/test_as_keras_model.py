"""What a user does with any Keras model works with ours: fit, evaluate, predict, save, load, mixed precision."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mam_keras import systems
from mam_keras.data.source import Targets
from mam_keras.fit.loop import Objective
from mam_keras.fit.optimizer import make_optimizer
from mam_keras.model.network import Batch
from tests.model.examples import network_of, random_images, small_config

ROOT = Path(__file__).parents[2]
ATTRIBUTES = ["Smiling", "Bald"]
IMAGES = random_images(8, 8, 8, 3)
LABELS = (IMAGES.mean(axis=(1, 2))[:, :2] > 0.5).astype("float32")
TARGETS = {"Smiling": LABELS[:, :1], "Bald": LABELS[:, 1:], "multi_label": LABELS, "reconstruction": IMAGES}


def attach(model):
    return systems.attach(small_config(), Targets(tuple(ATTRIBUTES)), model)


@pytest.fixture(scope="module")
def trained():
    """A model that a user's own `fit` trained, and what `fit` returned."""
    keras.utils.set_random_seed(0)
    config = small_config(training={"epochs": 30, "warmup_epochs": 2, "learning_rate": 0.01})
    network = network_of(config, ATTRIBUTES)
    model = network.model
    model.compile(
        make_optimizer(config.training, steps_per_epoch=2),
        **network.losses([(1.0, 2.0), (3.0, 0.5)]),
        metrics={"Smiling": ["accuracy"], "multi_label": ["binary_accuracy"]},
    )
    history = model.fit(IMAGES, TARGETS, batch_size=4, epochs=20, validation_data=(IMAGES, TARGETS), verbose=0)
    return model, history.history


def test_fit_learns(trained):
    history = trained[1]
    for name in ("loss", "Smiling_loss", "Bald_loss", "multi_label_loss"):
        assert history[name][-1] < 0.7 * history[name][0]
    assert "val_loss" in history


def test_evaluate_is_a_mean_over_images_whatever_the_batches(trained):
    model, history = trained
    values = model.evaluate(IMAGES, TARGETS, batch_size=8, verbose=0, return_dict=True)
    in_parts = model.evaluate(IMAGES, TARGETS, batch_size=3, verbose=0, return_dict=True)  # 3 + 3 + 2
    assert values["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    for name in ("loss", "Smiling_accuracy"):  # Keras gives the single heads' losses as means over batches
        assert in_parts[name] == pytest.approx(values[name], rel=1e-4)


def test_predict_gives_named_probabilities(trained):
    model = trained[0]
    predictions = model.predict(IMAGES, batch_size=3, verbose=0)
    assert {name: values.shape for name, values in predictions.items()} == {
        "Smiling": (8, 1),
        "Bald": (8, 1),
        "multi_label": (8, 2),
        "reconstruction": (8, 8, 8, 3),
    }
    for name, expected in model(IMAGES).items():
        assert np.all((predictions[name] > 0) & (predictions[name] < 1))
        np.testing.assert_allclose(predictions[name], expected, atol=1e-5)


def test_a_loaded_model_answers_and_trains_alike(trained, tmp_path):
    model = trained[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    attached, original = (attach(one) for one in (loaded, model))
    for actual, expected in ((loaded, model), (attached.parts, original.parts)):
        actual, expected = actual(IMAGES), expected(IMAGES)
        assert set(actual) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(actual[name], values)
    assert len(loaded.losses) == 1
    assert float(loaded.losses[0]) == float(model.losses[0])
    features = attached.features(IMAGES)
    np.testing.assert_array_equal(attached.masks.logits(features, 2.0, 3.0), original.masks.logits(features, 2.0, 3.0))
    values = [m.evaluate(IMAGES, TARGETS, verbose=0, return_dict=True) for m in (model, loaded)]
    assert values[0] == values[1]
    before = model.get_weights()
    for one in (model, loaded):
        one.train_on_batch(IMAGES, TARGETS)
    for old, expected, actual in zip(before, model.get_weights(), loaded.get_weights(), strict=True):
        assert np.abs(expected - old).max() > 1e-4
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_fresh_process_loads_a_model_with_one_import(trained, tmp_path):
    model = trained[0]
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "expected.npz", images=IMAGES, **model(IMAGES))
    code = (
        "import sys, keras, numpy as np, mam_keras.model.layers\n"
        "model = keras.saving.load_model(sys.argv[1] + '/model.keras', safe_mode=True)\n"
        "expected = dict(np.load(sys.argv[1] + '/expected.npz'))\n"
        "outputs = model(expected.pop('images'))\n"
        "assert set(outputs) == set(expected)\n"
        "for name in outputs:\n"
        "    np.testing.assert_allclose(outputs[name], expected[name], atol=1e-6)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def mixed_bfloat16():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    "masks, normalization",
    [("per_feature", "batch"), ("per_feature", "none"), ("common", "group"), ("none", "batch")],
)
def test_mixed_precision_keeps_outputs_and_losses_in_float32(masks, normalization, mixed_bfloat16):
    config = small_config(model={"masks": masks, "normalization": normalization, "pooled_share": 0.25})
    keras.utils.set_random_seed(0)
    network = network_of(config, ATTRIBUTES)
    model = network.model
    assert {weight.dtype for weight in model.weights} == {"float32"}
    inner = network.parts(IMAGES)
    kinds = {name: values.dtype.name for name, values in inner.items()}
    assert kinds.pop("features") == "bfloat16"
    assert set(kinds.values()) == {"float32"}
    assert {values.dtype.name for values in model(IMAGES).values()} == {"float32"}
    values = Objective(network)(inner, Batch(IMAGES, LABELS, network.parts.losses))
    assert {value.dtype.name for value in values.values()} == {"float32"}

    keras.config.set_dtype_policy("float32")
    full = network_of(config, ATTRIBUTES).model
    full.set_weights(model.get_weights())
    for name, expected in full(IMAGES).items():
        np.testing.assert_allclose(model(IMAGES)[name], expected, atol=0.02)

    model.compile(keras.optimizers.SGD(0.01), **network.losses())
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(IMAGES, TARGETS, return_dict=True)["loss"])
    after = model.get_weights()
    assert all(np.isfinite(new).all() and (new != old).any() for old, new in zip(before, after, strict=True))
