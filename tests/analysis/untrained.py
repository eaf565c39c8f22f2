"""A run that was never trained: a small network with random weights, random images and answers, all in memory."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from mam_keras import config, systems
from mam_keras.data.pipeline import Prepared
from mam_keras.data.source import Targets
from mam_keras.predictions import Predictions
from tests.model import equations


def run(attributes=("Smiling", "Hat", "Bangs"), images=12, batch_size=5, groups=None, seed=0, exclusive=False, **model):
    """As an `analysis.trained_run.TrainedRun`; features 8x8, C = 8. `model` changes the section of that name."""
    values = {
        "name": "untrained",
        "data": {"source": "synthetic_faces", "image_size": 16},
        "model": {"channels": 8, "front_end": (8,), "dilations": (1,)} | model,
        "evaluation": {"batch_size": batch_size},
        "analysis": {"resamples": 40},
    }
    settings, random = config.check(values, "untrained"), np.random.default_rng(seed)
    targets = Targets(tuple(attributes), exclusive)
    network = systems.build(settings, targets)
    for weight in network.weights:
        if "variance" not in weight.path:
            size = 0.1 if weight.name == "position_logits" else 0.7  # those count 8 times (`positions.RATE`)
            weight.assign(random.normal(0, size, weight.shape))
    network = systems.attach(settings, targets, network)
    labels = random.random((images, len(attributes))) < 0.5
    ids = np.array([f"{index}.png" for index in range(images)])
    pictures = random.integers(0, 256, (images, 16, 16, 3)).astype(np.uint8)
    found = {head: random.random(labels.shape).astype(np.float32) for head in ("attributes", "multi_label")}
    found = {head.name: found.get(head.name, found["attributes"]) for head in network.heads}
    if exclusive:
        labels = labels.argmax(axis=1)[:, None] == np.arange(len(attributes))
        found = {head: given / given.sum(axis=1, keepdims=True) for head, given in found.items()}
    answers = Predictions(ids, labels, groups, found, targets=targets)
    return SimpleNamespace(
        config=settings,
        targets=targets,
        attributes=targets.names,
        source=SimpleNamespace(targets=targets, attributes=targets.names, splits={"test": None}),
        training_rates=np.full(len(attributes), 0.5),
        network=network,
        images=lambda split: Prepared(pictures, ids, labels, groups, ()) if split == "test" else None,
        predictions=lambda split: answers if split == "test" else None,
    )


def answer(run, labels, probabilities, known=None):
    """The same run with other labels, bool (n, K), and other probabilities of the head that answers."""
    answers = run.predictions("test")
    changed = dataclasses.replace(answers, labels=labels, probabilities={answers.main_head: probabilities}, known=known)
    return SimpleNamespace(**vars(run) | {"predictions": lambda split: changed if split == "test" else None})


def whole(run):
    """Features float64 (N, H, W, C) and masks (N, H, W, K, C') of all images at once, by the equations."""
    images = run.images("test").images.astype(np.float32) / 255
    features, heads = np.asarray(run.network.features(images), float), run.network.masks.heads
    masks = equations.common_masks if run.config.model.masks == "common" else equations.masks
    return features, masks(features, heads.mask_kernel.numpy().astype(float), heads.mask_bias.numpy().astype(float))


def balanced(run):
    """The same run with the answering head's biases moved so that each target is found in half of the images."""
    logits = np.asarray(run.network.logits(run.images("test").images.astype(np.float32) / 255))
    run.network.heads[0].bias.assign_sub(np.median(logits, axis=0))
    return run
