"""The one training loop: every strategy of `tf.distribute`, Keras's callbacks, exact resume. Public API only.

Keras 3's own `fit` cannot run under MultiWorkerMirroredStrategy, and two ways of training would drift apart. The
compiled model stays an ordinary Keras model.

Replicas share each batch equally, so a mean over the batch is the mean of the replicas' means. Where several workers
train together, all know the same after every step and epoch, and only the chief reads and writes files.
"""

import contextlib
import itertools
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mam_keras import records
from mam_keras.data.augmentation import Augmentation
from mam_keras.data.pipeline import ordered_batches, training_batches
from mam_keras.errors import UntrainableError, UserError
from mam_keras.files import expecting, write_csv
from mam_keras.fit import checkpoint
from mam_keras.fit.start import start_at_rates
from mam_keras.fit.strategy import from_chief, gather, is_chief
from mam_keras.model.losses import classification, smoothed
from mam_keras.model.network import Batch

LOOK_EVERY = 0.5  # seconds between two readings of the running loss; reading waits for the device


class Objective:
    """What a batch costs: the cross-entropy of every head, weighted, and the network's further terms, each a mean.

    These are the losses of `Network.losses`, taken from logits instead of probabilities, and what the layers add; where
    the network has terms that Keras's own `fit` has not, they come last.

    Args:
        network: `model.network.Network`.
        class_weights: as `losses.classification` takes them.
    """

    def __init__(self, network, class_weights=None):
        self.network = network
        self.crossentropy = classification(network.targets, class_weights, from_logits=True)

    def __call__(self, outputs, batch):
        """The values of a batch, {name: scalar}: HEAD_loss, HEAD_accuracy, TERM_loss, and their sum, loss.

        Args:
            outputs: of `Network.parts`.
            batch: `model.network.Batch`.
        """
        values = {}
        for head in self.network.heads:
            logits = outputs[head.name]
            values[f"{head.name}_loss"] = head.weight * self.crossentropy.mean(batch.labels, logits)
            values[f"{head.name}_accuracy"] = self._accuracy(batch.labels, logits)
        for term in self.network.terms:
            value = term.value(outputs, batch)
            if value is not None:
                values[f"{term.name}_loss"] = value
        values["loss"] = tf.add_n([value for name, value in values.items() if name.endswith("_loss")])
        return values

    def _accuracy(self, labels, logits):
        """The share of right answers among the labels that are known; of exclusive targets, of the images."""
        known = ~tf.math.is_nan(labels)
        if self.network.targets.exclusive:
            known, right = known[:, 0], tf.argmax(logits, axis=1) == tf.argmax(labels, axis=1)
        else:
            right = (logits >= 0) == (labels > 0.5)
        count = tf.reduce_sum(tf.cast(known, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(tf.cast(right & known, tf.float32)), count)


class Trainer:
    """Trains a compiled model on prepared splits.

    Args:
        network: `model.network.Network` of a compiled model, built under `strategy`.
        config: `config.Config`.
        objective: `Objective`.
        strategy: a `tf.distribute.Strategy`; the batch size of the configuration is the global one, a multiple of
            the number of replicas.
        alone: `augmentation.RegionOnly`, where `data.region_only` wants it.
    """

    def __init__(self, network, config, objective, strategy, alone=None):
        self.network, self.config, self.objective, self.strategy = network, config, objective, strategy
        self.alone = alone
        self.model = network.model
        self.replicas, self.chief = strategy.num_replicas_in_sync, is_chief(strategy)
        self.model.optimizer.build(self.model.trainable_variables)
        self.history = []
        self._needs_tape = any(term.needs_tape for term in network.terms)
        compiled = config.training.xla == "on"
        for layer in network.compiled:
            layer.compile_training = config.training.xla == "auto" and not self._needs_tape  # it cannot see inside
        self._replica_step = tf.function(self._train, jit_compile=True) if compiled else self._train
        self._steps = {}  # by whether layers are frozen, since what is trained is part of the graph
        self._evaluation_step = None  # made when the kind of batch is known

    def fit(self, train, validation, directory, callbacks=(), blocks=None):
        """Trains until the last epoch or until a callback stops it; carries on from the directory's checkpoint.

        Args:
            train, validation: `pipeline.Prepared`; `validation` may be None.
            directory: `run_directory.RunDirectory`; a checkpoint and history.csv are written after every epoch,
                and with early stopping the checkpoint of the lowest validation loss.
            callbacks: Keras callbacks; their plain attributes (numbers, texts) are kept in the checkpoint. Every worker
                gives as many, and takes up the chief's attributes.
            blocks: `augmentation.Blocks`, where `loss.localisation` wants to know where attributes are.

        Raises `UntrainableError` where the loss or a weight is not finite, naming epoch and step; the checkpoint stays
        the last good one.
        """
        settings = self.config.training
        steps = len(train) // settings.batch_size
        callbacks = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        self.model.stop_training = False
        callbacks.on_train_begin()
        first = self._resume(directory, callbacks)
        self._freeze(first)  # a frozen backbone keeps its statistics also while the biases are looked for
        if settings.start_at_rates and first == 0:
            start_at_rates(self.network, self._training_batches(train, 0), train.rates, self.strategy)
        for epoch in range(first, settings.epochs):
            patience = settings.early_stopping
            if self.model.stop_training or (patience and self.history and self._epochs_since_best() >= patience):
                break
            callbacks.on_epoch_begin(epoch)
            self._freeze(epoch)
            logs = self._train_epoch(self._training_batches(train, epoch, blocks), epoch, steps, callbacks)
            if validation is not None:
                logs |= {f"val_{name}": value for name, value in self.evaluate(validation)[0].items()}
            self.history.append({"epoch": epoch + 1, **logs})
            callbacks.on_epoch_end(epoch, dict(logs))
            if self.chief:
                write_csv(directory.history, self.history)
                checkpoint.save(directory.last_checkpoint, self.model, self._state(callbacks))
            self._keep_best(directory)
        self.model.trainable = True
        callbacks.on_train_end()

    def restore(self, path):
        """Gives every worker the checkpoint that the chief has at `path`; its state, or None where there is none."""
        content = path.read_bytes() if self.chief and path.exists() else None
        content = from_chief(self.strategy, content)
        if content is None:
            return None
        state = checkpoint.restore(path, self.model, content)
        if other := records.other_setting(state.get("settings", {}), self.config):
            key, there, here = other
            raise UserError(f"{path}: expected {checkpoint.WHAT}. Received: one of {key} {there!r}, not {here!r}")
        return state

    def evaluate(self, prepared):
        """Means of the objective's values over a split, every image counted once, and all heads' probabilities."""
        sums, probabilities = {}, {}
        batches = self._evaluation_batches(prepared)
        if self._evaluation_step is None:
            self._evaluation_step = tf.function(self._distributed_evaluation, input_signature=batches.element_spec)
        for images, labels in batches:
            totals, outputs = self._evaluation_step(images, labels)
            for name, value in totals.items():
                sums[name] = sums.get(name, 0.0) + sum(map(float, self._local(value)))
            for head, batch in outputs.items():
                probabilities.setdefault(head, []).extend(part.numpy() for part in self._local(batch))
        of_workers = gather(self.strategy, np.array([[*sums.values()]]))
        totals = dict(zip(sums, of_workers.sum(axis=0).tolist(), strict=True))
        count = totals.pop("images")
        return (
            {name: total / count for name, total in totals.items()},
            {head: gather(self.strategy, np.concatenate(batches)) for head, batches in probabilities.items()},
        )

    @property
    def step(self):
        """A training step of a batch as the layers are now, frozen or not: its values, {name: scalar}."""
        trained = len(self.model.trainable_variables)
        return self._steps.setdefault(trained, tf.function(self._distributed_step))

    def _freeze(self, epoch):
        """Leaves the layers alone that the system does not train in this epoch; normalisation keeps its statistics."""
        frozen = self.config.model.frozen(self.model, epoch)
        for layer in self.model.layers:
            layer.trainable = layer not in frozen

    def _train_epoch(self, batches, epoch, steps, callbacks):
        settings, step_of_epoch = self.config.training, self.step
        sums, losses = None, []
        start = looked = time.perf_counter()
        with tqdm(
            total=steps, desc=f"Epoch {epoch + 1}/{settings.epochs}", unit=" steps", disable=None, leave=False
        ) as bar:
            for step, batch in enumerate(itertools.islice(batches, steps)):
                callbacks.on_train_batch_begin(step)
                values = step_of_epoch(*batch)
                losses.append(values["loss"])
                sums = values if sums is None else {name: sums[name] + value for name, value in values.items()}
                callbacks.on_train_batch_end(step, values)
                bar.update()
                now = time.perf_counter()
                if self.chief and now - looked > LOOK_EVERY:  # one alone: a worker that ended first would be missed
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

    def _training_batches(self, train, epoch, blocks=None):
        """An endless dataset of the epoch, so that no worker has to ask the others whether there is another batch."""
        batch_size, seed = self.config.training.batch_size, self.config.seed
        augmentation, supervised = Augmentation.of(self.config.data), self.config.loss.localisation_images or len(train)

        def of_worker(context):
            own = _part(range(self.replicas), context)
            batches = training_batches(
                train, batch_size, seed, epoch, augmentation, self.replicas, own, blocks, supervised, self.alone
            )
            return batches.repeat()

        return self.strategy.distribute_datasets_from_function(of_worker)

    def _evaluation_batches(self, prepared):
        """Every image once; a replica without any left gets an empty batch beside the others' last ones."""
        size = -(-self.config.evaluation.batch_size // self.replicas)
        return self.strategy.distribute_datasets_from_function(
            lambda context: ordered_batches(prepared, size, _part(range(len(prepared)), context))
        )

    def _distributed_step(self, *batch):
        values = self.strategy.run(self._replica_step, args=batch)
        return {name: self._local(value)[0] for name, value in values.items()}

    def _distributed_evaluation(self, images, labels):
        return self.strategy.run(self._evaluate, args=(images, labels))

    def _train(self, images, labels, regions=None):
        weights = self.model.trainable_variables
        labels = smoothed(labels, self.config.loss.label_smoothing, self.network.targets.exclusive)
        with tf.GradientTape() as tape:
            values = self._values(images, labels, training=True, regions=regions)[0]
            loss = values["loss"] / self.replicas  # the optimizer adds up the replicas' gradients
        gradients = [  # as dense as the weights, though a term may have looked at some targets' alone
            gradient if gradient is None else tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(loss, weights)
        ]
        gradients = self._clipped(gradients)
        self.model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)

    def _clipped(self, gradients):
        """What the optimizer has to add up so that the norm of the sum is clipped; it clips before it adds up."""
        norm = self.config.training.clip_norm
        if norm is None or self.replicas == 1:
            return gradients
        summed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return [gradient / self.replicas for gradient in tf.clip_by_global_norm(summed, norm)[0]]

    def _evaluate(self, images, labels):
        """Totals over a batch, which may be empty, and all heads' probabilities."""
        count = tf.shape(labels)[0]
        filler = tf.cast(count == 0, tf.int32)  # convolutions need an image: one that counts for nothing
        images, labels = (
            tf.pad(array, [[0, filler]] + [[0, 0]] * (array.shape.rank - 1)) for array in (images, labels)
        )
        values, outputs = self._values(images, labels, training=False)
        totals = {name: value * tf.cast(count, tf.float32) for name, value in values.items()}
        heads = {head.name: outputs[head.name][:count] for head in self.network.heads}
        probabilities = {name: self.network.probabilities(logits) for name, logits in heads.items()}
        return totals | {"images": count}, probabilities

    def _local(self, value):
        """Of each replica of this worker."""
        return self.strategy.experimental_local_results(value)

    def _values(self, images, labels, training, regions=None):
        images, tape = tf.cast(images, tf.float32) / 255.0, None
        with contextlib.ExitStack() as stack:
            if regions is not None and self._needs_tape:
                tape = stack.enter_context(tf.GradientTape(persistent=True))
                tape.watch(images)
            outputs = self.network.parts(images, training=training)
            return self.objective(outputs, Batch(images, labels, self._penalties(), regions, tape)), outputs

    def _penalties(self):
        """The model's own losses of the call before, of this replica alone.

        Replicas of one worker take turns in threads and share the layers; what this one's call added came last.
        """
        if self.replicas == 1:
            return self.network.parts.losses
        return [layer.losses[-1] for layer in self.network.parts.layers if layer.losses]

    def _epochs_since_best(self):
        losses = np.nan_to_num([row["val_loss"] for row in self.history], nan=np.inf)
        return len(losses) - 1 - int(np.argmin(losses))

    def _keep_best(self, directory):
        if self.chief and self.config.training.early_stopping and self._epochs_since_best() == 0:
            checkpoint.save(directory.best_checkpoint, self.model, {"settings": records.trained(self.config)})

    def _state(self, callbacks):
        return {
            "settings": records.trained(self.config),
            "history": self.history,
            "stopped": bool(self.model.stop_training),
            "callbacks": [_plain_attributes(callback) for callback in callbacks.callbacks],
        }

    def _resume(self, directory, callbacks):
        """Takes up the checkpoint, if there is one, and returns the epoch to go on with."""
        state = self.restore(directory.last_checkpoint)
        if state is None:
            return 0
        with expecting(directory.last_checkpoint, checkpoint.WHAT):
            self.history, self.model.stop_training = state["history"], state["stopped"]
            for callback, attributes in zip(callbacks.callbacks, state["callbacks"], strict=True):
                vars(callback).update(attributes)
        self._keep_best(directory)  # a kill may have come just before
        return len(self.history)


def _part(numbers, context):
    """This worker's part of a range, as even as can be."""
    ends = [len(numbers) * (context.input_pipeline_id + end) // context.num_input_pipelines for end in (0, 1)]
    return numbers[slice(*ends)]


def _diverged(what, epoch, step):
    kept = f"; the checkpoint of epoch {epoch} is kept" if epoch else ""
    return UntrainableError(
        f"{what} in epoch {epoch + 1}, step {step + 1}{kept}: try a lower training.learning_rate, or training.clip_norm"
    )


def _plain_attributes(callback):
    kinds = (bool, int, float, str, type(None), np.number)
    return {
        name: value.item() if isinstance(value, np.number) else value
        for name, value in vars(callback).items()
        if isinstance(value, kinds) and not name.startswith("_")
    }
