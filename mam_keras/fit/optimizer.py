"""Optimizer and learning-rate schedule of a run. Knows steps, not data."""

import keras

NOT_DECAYED = ("bias", "gamma", "beta")  # biases and normalisation: decay would only shift them


def make_optimizer(training, steps_per_epoch):
    """The optimizer of `config.Training`; weight decay is decoupled and spares biases and normalisation."""
    arguments = {
        "name": training.optimizer,  # Keras's own would count: the variables of a second one would not be found again
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
    """The learning rate by step, one of Keras's schedules: it rises linearly from 0, then stays or falls to 0.

        rate(t) = peak t / warmup                                                 for t < warmup
                  peak, or peak (1 + cos(pi (t - warmup) / (steps - warmup))) / 2     afterwards

    Without warm-up a constant rate is a plain number, which Keras's `ReduceLROnPlateau` and
    `LearningRateScheduler` can set.
    """
    peak, warmup = training.learning_rate, round(training.warmup_epochs * steps_per_epoch)
    falling = training.epochs * steps_per_epoch - warmup
    if training.schedule == "cosine" and falling:
        if not warmup:
            return keras.optimizers.schedules.CosineDecay(peak, falling)
        return keras.optimizers.schedules.CosineDecay(0.0, falling, warmup_target=peak, warmup_steps=warmup)
    return keras.optimizers.schedules.PolynomialDecay(0.0, warmup, end_learning_rate=peak) if warmup else peak
