"""A run that was never trained: a small network with random weights, random images and answers, all in memory."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from mam_keras import config
from mam_keras.analysis.network import Network
from mam_keras.data.pipeline import Prepared
from mam_keras.evaluation import Predictions
from mam_keras.model import build
from tests.model import equations


def run(attributes=("Smiling", "Hat", "Bangs"), images=12, batch_size=5, groups=None, seed=0, **model):
    """As an `analysis.trained_run.TrainedRun`; features 8x8, C = 8. `model` changes the section of that name."""
    values = {
        "name": "untrained",
        "data": {"source": "synthetic_faces", "image_size": 16},
        "model": {"channels": 8, "front_end": (8,), "dilations": (1,)} | model,
        "evaluation": {"batch_size": batch_size},
        "analysis": {"resamples": 40},
    }
    settings, random = config.check(values, "untrained"), np.random.default_rng(seed)
    network = build(settings, attributes)
    for weight in network.weights:
        if "variance" not in weight.path:
            weight.assign(random.normal(0, 0.7, weight.shape))
    labels = random.random((images, len(attributes))) < 0.5
    ids = np.array([f"{index}.png" for index in range(images)])
    pictures = random.integers(0, 256, (images, 16, 16, 3)).astype(np.uint8)
    found = {head: random.random(labels.shape).astype(np.float32) for head in ("attributes", "multi_label")}
    if not settings.model.attribute_heads:
        del found["attributes"]
    return SimpleNamespace(
        config=settings,
        attributes=tuple(attributes),
        network=Network(network),
        images=lambda split: Prepared(pictures, ids, labels, groups, ()) if split == "test" else None,
        answers=Predictions(ids, labels, groups, found),
    )


def answer(run, labels, probabilities):
    """The same run with other labels, bool (n, K), and other probabilities of the attribute heads."""
    changed = dataclasses.replace(run.answers, labels=labels, probabilities={"attributes": probabilities})
    return SimpleNamespace(**vars(run) | {"answers": changed})


def whole(run):
    """Features float64 (N, H, W, C) and masks (N, H, W, K, C') of all images at once, by the equations."""
    images = run.images("test").images.astype(np.float32) / 255
    features, heads = run.network.features(images).numpy().astype(float), run.network.heads
    masks = equations.common_masks if run.config.model.masks == "common" else equations.masks
    return features, masks(features, heads.mask_kernel.numpy().astype(float), heads.mask_bias.numpy().astype(float))


def balanced(run):
    """The same run with the attribute heads' biases moved so that each finds its attribute in half of the images."""
    network = run.network
    features = network.features(run.images("test").images.astype(np.float32) / 255)
    network.pooling.bias.assign(-np.median(network.pooling.pool(network.heads(features)), axis=0))
    network.bias = network.pooling.bias.numpy()
    return run
