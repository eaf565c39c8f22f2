"""Optimizer and learning-rate schedule of a run. Knows steps, not data."""

import math

import keras

NOT_DECAYED = ("bias", "gamma", "beta")  # biases and normalisation: decay would only shift them


def make_optimizer(training, steps_per_epoch):
    """The optimizer of `config.Training`; weight decay is decoupled and spares biases and normalisation."""
    arguments = {
        "learning_rate": make_schedule(training, steps_per_epoch),
        "weight_decay": training.weight_decay,
        "global_clipnorm": training.clip_norm,
    }
    if training.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=training.momentum, nesterov=True, **arguments)
    else:
        optimizer = keras.optimizers.AdamW(**arguments)
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer


def make_schedule(training, steps_per_epoch):
    """The learning rate by step: from 0 linearly to its peak over the warm-up, then constant or a half cosine to 0.

    Without warm-up a constant rate is a plain number, which Keras's `ReduceLROnPlateau` and
    `LearningRateScheduler` can set.
    """
    steps, warmup = training.epochs * steps_per_epoch, round(training.warmup_epochs * steps_per_epoch)
    if training.schedule == "constant" and not warmup:
        return training.learning_rate
    return WarmupSchedule(training.learning_rate, warmup, steps if training.schedule == "cosine" else None)


@keras.saving.register_keras_serializable("mam_keras")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """rate(t) = peak t / warmup before `warmup`; then peak (1 + cos(pi (t - warmup) / (steps - warmup))) / 2.

    Args:
        peak: the highest learning rate.
        warmup: steps of the linear rise.
        steps: step at which the cosine reaches 0, or None for a constant peak after the warm-up.
    """

    def __init__(self, peak, warmup, steps=None):
        self.peak, self.warmup, self.steps = peak, warmup, steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rate = keras.ops.minimum(1.0, (step + 1.0) / max(1, self.warmup))
        if self.steps is not None:
            progress = (step - self.warmup) / max(1, self.steps - self.warmup)
            rate = rate * 0.5 * (1.0 + keras.ops.cos(math.pi * keras.ops.clip(progress, 0.0, 1.0)))
        return self.peak * rate

    def get_config(self):
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps}
