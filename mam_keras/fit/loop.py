"""The one training loop: every strategy of `tf.distribute`, Keras's callbacks, exact resume. Public API only.

Keras 3's own `fit` cannot run under MultiWorkerMirroredStrategy, and two ways of training would drift apart. The
compiled model stays an ordinary Keras model.
"""

import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mam_keras.data.pipeline import ordered_batches, training_batches
from mam_keras.errors import RunError
from mam_keras.fit import checkpoint
from mam_keras.model import parts
from mam_keras.model.assembly import reconstruction_divisor
from mam_keras.model.losses import ReconstructionError, SummedCrossentropy
from mam_keras.run_directory import write_csv

LOOK_EVERY = 0.5  # seconds between two readings of the running loss; reading waits for the device


class Objective:
    """Equation 6 on what `parts` computes: one value per batch for each weighted term and both heads' accuracy.

    The terms are the compiled losses of `model.compile_losses`, taken from logits instead of probabilities.
    """

    def __init__(self, config, class_weights=None):
        self.weights = config.loss
        self.crossentropy = SummedCrossentropy(class_weights, from_logits=True)
        self.reconstruction_error = ReconstructionError(reconstruction_divisor(config))

    def __call__(self, outputs, images, labels, penalties):
        """`outputs` of `parts`, images in [0, 1], labels (N, K), the model's own losses -> {name: scalar}."""
        values = {}
        for head, weight in (("attribute", self.weights.alpha), ("multi_label", self.weights.beta)):
            if f"{head}_logits" in outputs:
                logits = outputs[f"{head}_logits"]
                values[f"{head}_loss"] = weight * self.crossentropy(labels, logits)
                values[f"{head}_accuracy"] = tf.reduce_mean(tf.cast((logits >= 0) == (labels > 0.5), tf.float32))
        if "reconstruction" in outputs:
            values["reconstruction_loss"] = self.weights.gamma * self.reconstruction_error(
                images, outputs["reconstruction"]
            )
        if penalties:
            values["mask_loss"] = tf.add_n(penalties)
        values["loss"] = tf.add_n([value for name, value in values.items() if name.endswith("_loss")])
        return values


class Trainer:
    """Trains a compiled model on prepared splits.

    Args:
        model: of `model.build`, compiled; built under `strategy`.
        config: `config.Config`.
        objective: `Objective`.
        strategy: a `tf.distribute.Strategy`; the batch size of the configuration is the global one.
    """

    def __init__(self, model, config, objective, strategy):
        self.model, self.config, self.objective, self.strategy = model, config, objective, strategy
        self.network = parts(model)
        model.optimizer.build(model.trainable_variables)
        self.history = []
        compiled = config.training.xla == "on"
        if config.model.attribute_heads and config.model.masks == "per_feature":
            model.get_layer("attribute_scores").compile_training = config.training.xla == "auto"
        self._replica_step = tf.function(self._train, jit_compile=True) if compiled else self._train
        self._step = tf.function(self._distributed_step)
        self._evaluation_step = tf.function(self._evaluate, reduce_retracing=True)

    def fit(self, train, validation, directory, callbacks=()):
        """Trains until the last epoch or until a callback stops it; carries on from the directory's checkpoint.

        Args:
            train, validation: `pipeline.Prepared`; `validation` may be None.
            directory: `run_directory.RunDirectory`; a checkpoint and history.csv are written after every epoch,
                and with early stopping the checkpoint of the lowest validation loss.
            callbacks: Keras callbacks; their plain attributes (numbers, texts) are kept in the checkpoint.

        Raises `RunError` where the loss or a weight is not finite, naming epoch and step; the checkpoint stays the
        last good one.
        """
        settings = self.config.training
        steps = len(train) // settings.batch_size
        callbacks = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        self.model.stop_training = False
        callbacks.on_train_begin()
        first = self._resume(directory, callbacks)
        for epoch in range(first, settings.epochs):
            patience = settings.early_stopping
            if self.model.stop_training or (patience and self.history and self._epochs_since_best() >= patience):
                break
            callbacks.on_epoch_begin(epoch)
            logs = self._train_epoch(train, epoch, steps, callbacks)
            if validation is not None:
                logs |= {f"val_{name}": value for name, value in self.evaluate(validation)[0].items()}
            self.history.append({"epoch": epoch + 1, **logs})
            callbacks.on_epoch_end(epoch, dict(logs))
            write_csv(directory.history, self.history)
            checkpoint.save(directory.last_checkpoint, self.model, self._state(callbacks))
            self._keep_best(directory)
        callbacks.on_train_end()

    def evaluate(self, prepared):
        """Means of the objective's values over a split, every image counted once, and both heads' probabilities."""
        sums, probabilities, count = {}, {}, 0
        for images, labels in ordered_batches(prepared, self.config.evaluation.batch_size):
            values, outputs = self._evaluation_step(images, labels)
            size = len(labels)
            count += size
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + size * float(value)
            for head, batch in outputs.items():
                probabilities.setdefault(head, []).append(batch.numpy())
        return (
            {name: total / count for name, total in sums.items()},
            {head: np.concatenate(batches) for head, batches in probabilities.items()},
        )

    def _train_epoch(self, train, epoch, steps, callbacks):
        settings, data = self.config.training, self.config.data
        batches = training_batches(train, settings.batch_size, self.config.seed, epoch, data.flip, data.shift)
        sums, losses = None, []
        start = looked = time.perf_counter()
        with tqdm(
            total=steps, desc=f"Epoch {epoch + 1}/{settings.epochs}", unit=" steps", disable=None, leave=False
        ) as bar:
            for step, (images, labels) in enumerate(self.strategy.experimental_distribute_dataset(batches)):
                callbacks.on_train_batch_begin(step)
                values = self._step(images, labels)
                losses.append(values["loss"])
                sums = values if sums is None else {name: sums[name] + value for name, value in values.items()}
                callbacks.on_train_batch_end(step, values)
                bar.update()
                now = time.perf_counter()
                if now - looked > LOOK_EVERY:
                    looked = now
                    self._check_losses(losses, epoch, step)
                    bar.set_postfix(loss=f"{float(values['loss']):.2f}")
        self._check_losses(losses, epoch, steps - 1)
        seconds = time.perf_counter() - start
        self._check_weights(epoch, steps - 1)
        return {name: float(total) / steps for name, total in sums.items()} | {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "images_per_second": steps * settings.batch_size / seconds,
        }

    def _check_losses(self, losses, epoch, step):
        """Refuses losses, the last of which is that of `step`, unless all are finite; then forgets them."""
        values = [float(loss) for loss in losses]
        for earlier, value in enumerate(values, step + 1 - len(values)):
            if not np.isfinite(value):
                raise _diverged(f"the loss became {value}", epoch, earlier)
        losses.clear()

    def _check_weights(self, epoch, step):
        """The last step's update is in no loss yet, but in the checkpoint about to be written."""
        for variable in self.model.variables:
            if not np.isfinite(variable.numpy()).all():
                raise _diverged(f"{variable.path} became infinite or NaN", epoch, step)

    def _distributed_step(self, images, labels):
        per_replica = self.strategy.run(self._replica_step, args=(images, labels))
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in per_replica.items()}

    def _train(self, images, labels):
        with tf.GradientTape() as tape:
            values = self._values(images, labels, training=True)[0]
            loss = values["loss"] / self.strategy.num_replicas_in_sync
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.model.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        return values

    def _evaluate(self, images, labels):
        values, outputs = self._values(images, labels, training=False)
        heads = {"attributes": "attribute_logits", "multi_label": "multi_label_logits"}
        return values, {head: tf.sigmoid(outputs[name]) for head, name in heads.items() if name in outputs}

    def _values(self, images, labels, training):
        images = tf.cast(images, tf.float32) / 255.0
        outputs = self.network(images, training=training)
        return self.objective(outputs, images, labels, self.network.losses), outputs

    def _epochs_since_best(self):
        losses = np.nan_to_num([row["val_loss"] for row in self.history], nan=np.inf)
        return len(losses) - 1 - int(np.argmin(losses))

    def _keep_best(self, directory):
        if self.config.training.early_stopping and self._epochs_since_best() == 0:
            checkpoint.save(directory.best_checkpoint, self.model, {})

    def _state(self, callbacks):
        return {
            "history": self.history,
            "stopped": bool(self.model.stop_training),
            "callbacks": [_plain_attributes(callback) for callback in callbacks.callbacks],
        }

    def _resume(self, directory, callbacks):
        """Takes up the checkpoint, if there is one, and returns the epoch to go on with."""
        if not directory.last_checkpoint.exists():
            return 0
        state = checkpoint.restore(directory.last_checkpoint, self.model)
        self.history = state["history"]
        self.model.stop_training = state["stopped"]
        for callback, attributes in zip(callbacks.callbacks, state["callbacks"], strict=True):
            vars(callback).update(attributes)
        self._keep_best(directory)  # a kill may have come just before
        return len(self.history)


def _diverged(what, epoch, step):
    kept = f"; the checkpoint of epoch {epoch} is kept" if epoch else ""
    return RunError(
        f"{what} in epoch {epoch + 1}, step {step + 1}{kept}: try a lower training.learning_rate, or training.clip_norm"
    )


def _plain_attributes(callback):
    kinds = (bool, int, float, str, type(None), np.number)
    return {
        name: value.item() if isinstance(value, np.number) else value
        for name, value in vars(callback).items()
        if isinstance(value, kinds) and not name.startswith("_")
    }
