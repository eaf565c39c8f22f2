"""The training loop on arrays: what it counts, when it stops, what it keeps."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras import config
from mam_keras.data.augmentation import Augmentation, Blocks
from mam_keras.data.pipeline import Prepared
from mam_keras.data.source import Targets
from mam_keras.errors import RunError, UserError
from mam_keras.fit import checkpoint
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from mam_keras.fit.start import start_at_rates
from mam_keras.model import backbones, guidance
from mam_keras.model.losses import balanced_class_weights
from mam_keras.run_directory import RunDirectory
from tests.model.examples import network_of

ATTRIBUTES = ("top", "middle", "bottom")
LIGHT = ("model.reconstructor=false", "model.multi_label_head=false", "training.xla='off'")
STEPS = 5  # 22 images in batches of 4


@pytest.fixture(scope="module")
def splits(draw):
    def prepared(count, seed):
        images, labels = draw(count, seed)
        return Prepared(images, np.arange(count).astype(str), labels, None, ())

    return prepared(22, 0), prepared(7, 1)


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def trainer(tiny):
    def build(*overrides, class_weights=None):
        settings = config.load(tiny, list(overrides))
        keras.utils.set_random_seed(settings.seed)
        network = network_of(settings, ATTRIBUTES)
        network.model.compile(make_optimizer(settings.training, STEPS), **network.losses(class_weights))
        return Trainer(network, settings, Objective(network, class_weights), tf.distribute.get_strategy())

    return build


def scripted(trainer, losses):
    """Its validation losses are these, whatever it learns."""
    losses = iter(losses)
    trainer.evaluate = lambda prepared: ({"loss": next(losses)}, {})
    return trainer


def at_batch(epoch, batch, action, end=False):
    """A callback that acts at one batch of one epoch, both counted from 0."""
    now = {}

    def act(number, logs):
        if (now["epoch"], number) == (epoch, batch):
            action()

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda number, logs: now.update(epoch=number),
        **{"on_train_batch_end" if end else "on_train_batch_begin": act},
    )


def interrupt():
    raise KeyboardInterrupt


def column(trainer, name):
    return [row[name] for row in trainer.history]


def test_training_smooths_labels_and_evaluation_does_not(trainer, splits, directory):
    """Both on the same images, with weights that hardly move; of K sigmoids 1 becomes 0.8 and 0 becomes 0.2."""
    train, _ = splits
    settings = ("loss.label_smoothing=0.4", "training.learning_rate=1e-9", "training.epochs=1", "data.flip=false")
    trained = trainer(*LIGHT, *settings, "data.shift=0", "training.batch_size=22", "model.normalization=none")
    trained.fit(train, train, directory)
    logits = trained.network.logits(train.images / np.float32(255)).numpy().astype(float)

    def expected(labels):
        return (np.logaddexp(0, logits) - labels * logits).sum(axis=1).mean()

    (row,) = trained.history
    assert row["attributes_loss"] == pytest.approx(expected(0.2 + 0.6 * train.labels), rel=1e-4)
    assert row["val_attributes_loss"] == pytest.approx(expected(train.labels), rel=1e-4)
    assert row["attributes_accuracy"] == pytest.approx(row["val_attributes_accuracy"])


# --- what is counted ---


def test_training_takes_full_batches_and_drops_the_remainder(trainer, splits, directory):
    batches = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append((batch, logs)))
    trained = trainer(*LIGHT, "training.epochs=2")
    trained.fit(*splits, directory, [count])
    assert [batch for batch, _ in batches] == [0, 1, 2, 3, 4] * 2
    for epoch, row in enumerate(trained.history):
        means = [float(logs["loss"]) for _, logs in batches[STEPS * epoch :][:STEPS]]
        assert row["loss"] == pytest.approx(np.mean(means), rel=1e-6)
    assert int(trained.model.optimizer.iterations) == 2 * STEPS


def test_evaluation_counts_every_image_once(trainer, splits):
    """7 images in batches of 3, 3 and 1: the last image counts as much as the others."""
    _, validation = splits
    values, probabilities = trainer("loss.alpha=2", "loss.beta=3", "training.xla='off'").evaluate(validation)
    labels = validation.labels
    for head, weight, name in (("attributes", 2, "attributes"), ("multi_label", 3, "multi_label")):
        p = probabilities[head].astype(np.float64)
        assert p.shape == labels.shape
        crossentropy = -np.where(labels, np.log(p), np.log1p(-p)).sum(axis=1)
        assert values[f"{name}_loss"] == pytest.approx(weight * crossentropy.mean(), rel=1e-5)
        assert values[f"{name}_accuracy"] == pytest.approx(((p >= 0.5) == labels).mean(), rel=1e-6)
    terms = ("attributes_loss", "multi_label_loss", "reconstruction_loss", "mask_loss")
    assert values["loss"] == pytest.approx(sum(values[term] for term in terms), rel=1e-6)
    assert set(values) == {*terms, "loss", "attributes_accuracy", "multi_label_accuracy"}


def test_the_loss_is_the_one_that_keras_computes_from_the_compiled_model(trainer, splits):
    """The loop and a user's own `Model.fit` minimise the same: equation 6."""
    images, labels = splits[1].images / np.float32(255), splits[1].labels.astype(np.float32)
    trained = trainer("loss.alpha=2", "loss.gamma=3", "training.xla='off'")
    trained.model.run_eagerly = True
    targets = {name: labels[:, [k]] for k, name in enumerate(ATTRIBUTES)}
    targets |= {"multi_label": labels, "reconstruction": images}
    expected = trained.model.test_on_batch(images, targets, return_dict=True)["loss"]
    assert trained.evaluate(splits[1])[0]["loss"] == pytest.approx(float(expected), rel=1e-5)


# --- what is learnt ---


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.optimizer=adamw", "training.schedule=cosine"),
        ("training.optimizer=sgd", "training.schedule=constant", "training.clip_norm=1.0"),
        ("loss.class_weights=balanced", "training.warmup_epochs=0"),
    ],
    ids=["adamw", "sgd", "balanced"],
)
def test_every_way_to_train_learns(trainer, splits, directory, overrides):
    train = splits[0]
    weights = balanced_class_weights(Targets(ATTRIBUTES), train.rates) if "balanced" in overrides[0] else None
    trained = trainer(*LIGHT, *overrides, "training.epochs=18", "training.learning_rate=0.03", class_weights=weights)
    trained.fit(train, None, directory)
    losses, accuracies = (column(trained, name) for name in ("attributes_loss", "attributes_accuracy"))
    assert np.mean(losses[-4:]) < 0.75 * losses[0]
    assert accuracies[0] < 0.7 < np.mean(accuracies[-4:])


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_training_can_begin_at_the_attributes_rates(trainer, splits, share):
    """Of 22 images of which 1, 11 and all have the attribute."""
    train = splits[0]
    labels = np.zeros((len(train), 3), bool)
    labels[:1, 0] = labels[:11, 1] = labels[:, 2] = True
    train = replace(train, labels=labels)
    trained = trainer("training.xla='off'", "training.start_at_rates=true", f"model.pooled_share={share}")
    start_at_rates(trained.network, trained._training_batches(train, 0), labels.mean(axis=0), trained.strategy)
    outputs = trained.network.parts(train.images / np.float32(255), training=True)
    for head in ("attributes", "multi_label"):
        means = np.asarray(outputs[head]).mean(axis=0)
        np.testing.assert_allclose(means, [np.log(1 / 21), 0, np.log(999)], atol=0.25)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_frozen_backbone_keeps_weights_and_statistics(trainer, splits, directory, epochs):
    """Through the first epoch, and while the biases are looked for that give the attributes' rates."""
    settings = ("model.backbone.freeze_epochs=1", "training.start_at_rates=true", f"training.epochs={epochs}")
    trained = trainer(*LIGHT, *settings)
    weights = [weight for layer in backbones.layers_of(trained.model) for weight in layer.weights]
    before = [weight.numpy() for weight in weights]
    trained.fit(splits[0], None, directory)
    kept = [np.array_equal(weight, old) for weight, old in zip(weights, before, strict=True)]
    assert any("moving_mean" in weight.path for weight in weights)
    assert all(kept) if epochs == 1 else not any(kept)


def test_maps_are_drawn_into_the_boxes(trainer, splits, directory):
    """Each attribute is a stripe of five rows; the boxes say so of the first images."""
    train = splits[0]
    regions = np.zeros((16, 16, 3), bool)
    for k in range(3):
        regions[5 * k : 5 * k + 5, :, k] = True
    trained = trainer(*LIGHT, "loss.localisation=0.5", "loss.localisation_images=12", "training.epochs=18")
    loss, network = trained.config.loss, trained.network
    look = guidance.look(network, loss)
    network.terms += (guidance.localisation_term(look, loss, range(3)),)
    trained.fit(train, None, directory, blocks=Blocks(regions, look.grid, Augmentation.of(trained.config.data)))
    losses = column(trained, "localisation_loss")
    assert np.mean(losses[-4:]) < 0.7 * losses[0]
    for row in trained.history:
        terms = sum(row[name] for name in ("attributes_loss", "mask_loss", "localisation_loss"))
        assert row["loss"] == pytest.approx(terms, rel=1e-5)


def test_gradients_are_clipped_together(trainer, splits, directory):
    """One step of plain SGD cannot move the weights by more than learning rate times norm."""
    settings = ("training.optimizer=sgd", "training.momentum=0", "training.weight_decay=0", "training.clip_norm=0.01")
    trained = trainer(*LIGHT, *settings, "training.schedule=constant", "training.warmup_epochs=0", "training.epochs=1")
    weights = trained.model.trainable_variables
    before = [weight.numpy() for weight in weights]
    moved = []

    def note():
        moved.append(np.sqrt(sum(((w.numpy() - b) ** 2).sum() for w, b in zip(weights, before, strict=True))))
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        trained.fit(splits[0], None, directory, [at_batch(0, 0, note, end=True)])
    assert moved == pytest.approx([0.01 * 0.01], rel=1e-3)


def test_xla_changes_speed_and_not_results(trainer, splits, tmp_path):
    histories = []
    for xla in ("off", "auto", "on"):
        trained = trainer(*LIGHT, "training.epochs=2", "model.normalization=none", f"training.xla='{xla}'")
        trained.fit(*splits, RunDirectory(tmp_path / xla))
        names = [name for name in trained.history[0] if name != "images_per_second"]
        histories.append([[row[name] for name in names] for row in trained.history])
    np.testing.assert_allclose(histories[1], histories[0], rtol=2e-4)
    np.testing.assert_allclose(histories[2], histories[0], rtol=2e-4)


# --- a loss that is no number ---


def spoil(trained, value=np.nan):
    """Makes one weight infinite or NaN."""

    def action():
        kernel = trained.model.get_layer("attribute_scores").kernel
        kernel.assign(kernel + value)

    return action


def kept(directory, trained):
    """The state of the last checkpoint, which can be read and holds numbers."""
    state = checkpoint.restore(directory.last_checkpoint, trained.model)
    assert all(np.isfinite(weight).all() for weight in trained.model.get_weights())
    return state


def test_a_loss_that_becomes_nan_stops_with_epoch_and_step_and_keeps_the_checkpoint(trainer, splits, directory):
    trained = trainer(*LIGHT)
    message = r"^the loss became nan in epoch 2, step 3; the checkpoint of epoch 1 is kept: try a lower training\.lear"
    with pytest.raises(RunError, match=message):
        trained.fit(*splits, directory, [at_batch(1, 2, spoil(trained))])
    assert [row["epoch"] for row in kept(directory, trained)["history"]] == [1]


def test_a_loss_that_becomes_infinite_in_the_first_epoch_keeps_none(trainer, splits, directory):
    trained = trainer(*LIGHT)
    with pytest.raises(RunError, match=r"^the loss became (inf|nan) in epoch 1, step 1: try a lower"):
        trained.fit(*splits, directory, [at_batch(0, 0, spoil(trained, np.inf))])
    assert not directory.last_checkpoint.exists()


def test_weights_that_the_last_step_spoils_are_in_no_checkpoint(trainer, splits, directory):
    """No training loss shows it, and without validation nothing else would."""
    trained = trainer(*LIGHT)
    message = r"^attribute_scores/kernel became infinite or NaN in epoch 2, step 5; the checkpoint of epoch 1 is kept"
    with pytest.raises(RunError, match=message):
        trained.fit(splits[0], None, directory, [at_batch(1, STEPS - 1, spoil(trained), end=True)])
    assert [row["epoch"] for row in kept(directory, trained)["history"]] == [1]


# --- stopping early ---

LOSSES = [3.0, 2.0, 4.0, np.nan, 5.0, 1.0]  # the second epoch is the best, and NaN is not better


def noting_weights(trained, noted):
    return keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: noted.append(trained.model.get_weights()))


def assert_best_is_kept(directory, trained, expected):
    checkpoint.restore(directory.best_checkpoint, trained.model)
    for found, weight in zip(trained.model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)


def test_early_stopping_keeps_the_best_epochs_weights(trainer, splits, directory):
    trained = scripted(trainer(*LIGHT, "training.epochs=9", "training.early_stopping=3"), LOSSES)
    noted = []
    trained.fit(*splits, directory, [noting_weights(trained, noted)])
    assert column(trained, "epoch") == [1, 2, 3, 4, 5]
    assert_best_is_kept(directory, trained, noted[1])


def test_early_stopping_counts_on_after_a_stop(trainer, splits, directory):
    settings = (*LIGHT, "training.epochs=9", "training.early_stopping=3")
    trained, noted = scripted(trainer(*settings), LOSSES), []
    with pytest.raises(KeyboardInterrupt):
        trained.fit(*splits, directory, [noting_weights(trained, noted), at_batch(3, 1, interrupt)])
    again = scripted(trainer(*settings), LOSSES[3:])
    again.fit(*splits, directory, [noting_weights(again, []), at_batch(9, 9, interrupt)])
    assert column(again, "epoch") == [1, 2, 3, 4, 5]
    assert_best_is_kept(directory, again, noted[1])
    once_more = scripted(trainer(*settings), [])  # there is nothing left to train
    once_more.fit(*splits, directory, [noting_weights(once_more, []), at_batch(9, 9, interrupt)])
    assert once_more.history[2:3] == again.history[2:3]
    assert len(once_more.history) == 5


def test_the_best_weights_are_kept_though_the_stop_came_just_before(trainer, splits, directory, monkeypatch):
    save = checkpoint.save

    def stopped(path, *arguments):
        if path == directory.best_checkpoint and directory.best_checkpoint.exists():
            interrupt()
        save(path, *arguments)

    settings = (*LIGHT, "training.epochs=9", "training.early_stopping=3")
    trained, noted = scripted(trainer(*settings), LOSSES), []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", stopped)
        trained.fit(*splits, directory, [noting_weights(trained, noted)])
    again = scripted(trainer(*settings), LOSSES[2:])
    again.fit(*splits, directory, [noting_weights(again, [])])
    assert column(again, "epoch") == [1, 2, 3, 4, 5]
    assert_best_is_kept(directory, again, noted[1])


# --- Keras's callbacks ---


@pytest.mark.parametrize("stop", [False, True], ids=["undisturbed", "stopped in between"])
def test_keras_callbacks_work_and_their_state_outlives_a_stop(trainer, splits, directory, stop):
    """Validation gets worse from the first epoch on. The rate is halved after 1 bad epoch and 2 to cool down, after
    epochs 2, 4 and 6; after 5 bad epochs in a row, the sixth, training stops."""
    settings = (*LIGHT, "training.epochs=9", "training.schedule=constant", "training.warmup_epochs=0")
    worse = [float(loss) for loss in range(1, 10)]

    def callbacks():
        return (
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, cooldown=2),
            keras.callbacks.EarlyStopping("val_loss", patience=5),
        )

    trained = scripted(trainer(*settings), worse)
    plateau, stopping = callbacks()
    if stop:
        with pytest.raises(KeyboardInterrupt):
            trained.fit(*splits, directory, [plateau, stopping, at_batch(3, 1, interrupt)])
        trained = scripted(trainer(*settings), worse[3:])
        plateau, stopping = callbacks()
    trained.fit(*splits, directory, [plateau, stopping, at_batch(9, 9, interrupt)])
    assert column(trained, "epoch") == [1, 2, 3, 4, 5, 6]
    assert column(trained, "learning_rate") == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025])
    assert float(trained.model.optimizer.learning_rate) == pytest.approx(0.00125)
    assert (plateau.best, plateau.cooldown_counter, plateau.wait) == (1.0, 2, 0)
    assert (stopping.best, stopping.wait, stopping.stopped_epoch) == (1.0, 5, 5)
    again = scripted(trainer(*settings), [])  # stopped is stopped
    again.fit(*splits, directory, [*callbacks(), at_batch(9, 9, interrupt)])
    assert again.history == trained.history


# --- checkpoints ---


def test_a_checkpoint_brings_back_every_variable_and_the_state(trainer, splits, directory):
    trained = trainer(*LIGHT, "training.epochs=1")
    trained.fit(splits[0], None, directory)
    other = trainer(*LIGHT, "seed=5")
    variables = [*other.model.variables, *other.model.optimizer.variables]
    expected = [v.numpy() for v in (*trained.model.variables, *trained.model.optimizer.variables)]
    assert any((v.numpy() != e).any() for v, e in zip(variables, expected, strict=True))
    state = checkpoint.restore(directory.last_checkpoint, other.model)
    assert state["history"] == trained.history
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    momenta = [value for variable, value in zip(variables, expected, strict=True) if "momentum" in variable.path]
    assert momenta
    assert all(value.any() for value in momenta)


@pytest.mark.parametrize("damage", ["empty", "half", "other network", "other file"])
def test_a_damaged_checkpoint_is_refused_in_one_line(trainer, tmp_path, damage):
    path, trained = tmp_path / "last.npz", trainer(*LIGHT)
    checkpoint.save(path, trained.model, {})
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "other file": b"text"}.get(damage, whole))
    if damage == "other network":
        trained = trainer(*LIGHT, "model.channels=5")
    with pytest.raises(UserError) as caught:
        checkpoint.restore(path, trained.model)
    line = str(caught.value)
    assert line.startswith(f"{path}: expected this run's checkpoint (--overwrite trains again). Received: ")
    assert "\n" not in line
