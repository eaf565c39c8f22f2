"""The learning rate by step, by hand, and what weight decay spares."""

import math

import keras
import numpy as np
import pytest

from mam_keras.fit.optimizer import make_optimizer, make_schedule
from tests.model.examples import small_config


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def training(**settings):
    return small_config(training=settings).training


def test_rises_linearly_to_its_peak_and_falls_by_half_a_cosine():
    schedule = make_schedule(training(epochs=3, warmup_epochs=1, learning_rate=0.4), steps_per_epoch=4)
    assert rates(schedule, range(5)) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    # half a cosine over 8 steps from step 4
    assert rates(schedule, (6, 8, 10, 12)) == pytest.approx(
        [0.2 * (1 + math.sqrt(0.5)), 0.2, 0.2 * (1 - math.sqrt(0.5)), 0], abs=1e-7
    )
    assert rates(schedule, (13, 1000)) == pytest.approx([0, 0], abs=1e-7)


def test_a_constant_rate_stays_after_the_warm_up():
    schedule = make_schedule(training(epochs=3, warmup_epochs=0.5, learning_rate=0.4, schedule="constant"), 4)
    assert rates(schedule, (0, 1, 2, 3, 100)) == pytest.approx([0, 0.2, 0.4, 0.4, 0.4])
    assert make_schedule(training(schedule="constant", warmup_epochs=0, learning_rate=0.2), 10) == 0.2


def test_without_a_warm_up_the_first_step_has_the_peak():
    schedule = make_schedule(training(epochs=1, warmup_epochs=0, learning_rate=0.4), steps_per_epoch=2)
    assert rates(schedule, (0, 1, 2)) == pytest.approx([0.4, 0.2, 0], abs=1e-7)


def test_a_run_that_is_all_warm_up_ends_below_the_peak():
    schedule = make_schedule(training(epochs=2, warmup_epochs=2, learning_rate=0.4), steps_per_epoch=2)
    assert rates(schedule, range(4)) == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_weight_decay_spares_biases_and_normalisation(optimizer):
    settings = training(optimizer=optimizer, weight_decay=0.5, schedule="constant", warmup_epochs=0, learning_rate=0.1)
    optimizer = make_optimizer(settings, steps_per_epoch=10)
    names = ("kernel", "mask_kernel", "bias", "mask_bias", "gamma", "beta")
    variables = [keras.Variable(np.ones(2, "float32"), name=name) for name in names]
    optimizer.apply([np.zeros(2, "float32")] * len(names), variables)
    expected = {name: 1 - 0.1 * 0.5 if "kernel" in name else 1 for name in names}
    assert {v.name: float(v[0]) for v in variables} == pytest.approx(expected)
