"""What every layer of ours must do, in one declarative call, so that a new layer's test is its expectations."""

import inspect
import json

import keras
import numpy as np
from keras import ops

from tests.model.examples import random_features, randomize


def run_layer_test(
    layer_class, arguments, input_shape, output_shape, weights, path, losses=0, mixed_output_dtype="float32"
):
    """Checks a layer's configuration, saving, shapes and types, and a training step, in float32 and mixed bfloat16.

    Args:
        arguments: every argument of the constructor, none at its default (or a forgotten one would go unnoticed).
        input_shape, output_shape: with the batch.
        weights: {name: shape} of the layer's weights, all trainable.
        path: a folder to save a model in.
        losses: how many losses a call adds.
        mixed_output_dtype: of the output under the policy mixed_bfloat16; in float32 it is float32.
    """
    layer = layer_class(**arguments, name="tested")
    _check_configuration(layer, arguments)
    inputs = random_features(*input_shape)
    outputs = layer(inputs)
    assert tuple(outputs.shape) == output_shape
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert {weight.name: tuple(weight.shape) for weight in layer.trainable_weights} == weights
    assert layer.non_trainable_weights == []
    assert len(layer.losses) == losses
    _check_training(randomize(layer), inputs, output_shape, path)
    expected = ops.convert_to_numpy(layer(inputs))

    mixed = layer_class(**arguments, dtype="mixed_bfloat16")
    mixed.build(input_shape)
    mixed.set_weights(layer.get_weights())
    assert {weight.dtype for weight in mixed.weights} <= {"float32"}
    outputs = mixed(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == mixed_output_dtype
    assert all(keras.backend.standardize_dtype(loss.dtype) == "float32" for loss in mixed.losses)
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(outputs, "float32")), expected, rtol=0.05, atol=0.05)
    _check_training(mixed, inputs, output_shape, path)


def _check_configuration(layer, arguments):
    parameters = inspect.signature(type(layer).__init__).parameters
    assert set(arguments) == set(parameters) - {"self", "kwargs"}
    for name, value in arguments.items():
        assert value != parameters[name].default
        assert getattr(layer, name) == value
    config = layer.get_config()
    assert arguments.items() <= config.items()
    restored = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert type(restored) is type(layer)
    assert restored.get_config() == config


def _check_training(layer, inputs, output_shape, path):
    """A symbolic call for any batch size, a step that moves every weight, and the same answers after a reload."""
    symbolic = keras.Input(inputs.shape[1:])
    model = keras.Model(symbolic, layer(symbolic))
    assert model.output.shape == (None, *output_shape[1:])
    actual = layer(inputs)
    assert model.output.dtype == keras.backend.standardize_dtype(actual.dtype)
    if layer.weights:
        before = layer.get_weights()
        model.compile(keras.optimizers.SGD(0.1), "mse")
        assert np.isfinite(model.train_on_batch(inputs, np.ones(output_shape, "float32")))
        for old, new in zip(before, layer.get_weights(), strict=True):
            assert np.all(np.isfinite(new))
            assert np.any(old != new)
        actual = layer(inputs)
    model.save(path / "layer.keras")
    restored = keras.saving.load_model(path / "layer.keras", compile=False)
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(ops.cast(outputs, "float32")) for outputs in (restored(inputs), actual))
    )
