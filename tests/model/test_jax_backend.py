"""The network on Keras's JAX backend, where TensorFlow cannot be imported, against TensorFlow's own values."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.fit.loop import Objective
from mam_keras.model.network import Batch
from tests.model.examples import network_of, random_images, randomize, relative_error, small_config

ROOT = Path(__file__).parents[2]
ATTRIBUTES = 3
CASES = {
    "per_feature": {"masks": "per_feature", "normalization": "batch", "pooled_share": 1.0},
    "common": {"masks": "common", "normalization": "group", "pooled_share": 0.4},
    "learned positions": {"masks": "per_feature", "normalization": "none", "learned_positions": True},
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What TensorFlow and JAX compute from the same weights, images and labels, for each case."""
    folders = {case: tmp_path_factory.mktemp(case) for case in CASES}
    expected = {case: tensorflow_outputs(case, folder) for case, folder in folders.items()}
    command = [sys.executable, "-m", "tests.model.jax_outputs", *folders.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return {case: (expected[case], dict(np.load(folder / "found.npz"))) for case, folder in folders.items()}


def tensorflow_outputs(case, folder):
    """Writes given.npz and returns what `jax_outputs.py` has to find."""
    spread = 0.1 if "learned_positions" in CASES[case] else 0.0
    settings = small_config(model=CASES[case], loss={"lambda": 0.01, "spread": spread})
    network = network_of(settings, [f"attribute {k}" for k in range(ATTRIBUTES)])
    model, inner = randomize(network.model), network.parts
    images = random_images(6, 8, 8, 3)
    labels = np.random.default_rng(1).integers(0, 2, (6, ATTRIBUTES)).astype("float32")
    weights = {f"weight.{index}": weight for index, weight in enumerate(model.get_weights())}
    given = {"config": json.dumps(settings.model_dump(mode="json", by_alias=True)), "images": images, "labels": labels}
    np.savez(folder / "given.npz", **given, **weights)

    found = {f"probability.{name}": value for name, value in model(images).items()}
    found |= {f"inner.{name}": value for name, value in inner(images).items()}
    heads = model.get_layer("attribute_scores")
    found["transformed"] = heads.scores(found["inner.features"], 2.0, 3.0)
    found["explained"] = heads.explain(found["inner.features"], 2.0, 3.0)[1]
    objective = Objective(network, [(1.0, 2.0)] * ATTRIBUTES)
    with tf.GradientTape() as tape:
        outputs = inner(images, training=True)
        values = objective(outputs, Batch(tf.constant(images), tf.constant(labels), inner.losses))
    names = ("attributes_loss", "multi_label_loss", "reconstruction_loss")
    found |= {"loss": values["loss"], "terms": [values[name] for name in names]}
    gradients = tape.gradient(values["loss"], inner.trainable_variables)
    found |= {f"gradient.{v.path}": g for v, g in zip(inner.trainable_variables, gradients, strict=True)}
    found |= {f"statistics.{variable.path}": variable for variable in inner.non_trainable_variables}
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.parametrize("case", CASES)
def test_outputs_losses_and_gradients_are_tensorflows(both, case):
    """Other sums in another order: what is 0 but for rounding, such as the gradient of a weight that normalisation
    makes void, is compared with the largest gradient."""
    tensorflow, jax = both[case]
    assert str(jax.pop("backend")) == "jax"
    assert set(jax) == set(tensorflow)
    assert sum(name.startswith("gradient.") for name in jax) > 8
    largest = max(np.abs(value).max() for name, value in tensorflow.items() if name.startswith("gradient."))
    for name, expected in tensorflow.items():
        if name.startswith("gradient."):
            assert np.abs(jax[name] - expected).max() < 1e-5 * largest, name
        else:
            assert relative_error(jax[name], expected) < 1e-5, name
