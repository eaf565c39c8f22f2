"""`python jax_outputs.py FOLDER ...`: a training step's values and gradients on Keras's JAX backend, TensorFlow hidden.

given.npz in each folder is what `test_jax_backend.py` writes; found.npz gets what this backend computes from the same
weights and images.
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
sys.modules["tensorflow"] = None  # as where it is not installed: importing it is an error

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

from mam_keras import config  # noqa: E402
from mam_keras.model.losses import ReconstructionError, SummedCrossentropy  # noqa: E402
from mam_keras.systems.masked import reconstruction_divisor  # noqa: E402
from tests.model.examples import network_of  # noqa: E402


def main(folder):
    with np.load(folder / "given.npz") as arrays:
        arrays = dict(arrays)
    settings = config.check(json.loads(str(arrays["config"])), "given")
    network = network_of(settings, [f"attribute {k}" for k in range(arrays["labels"].shape[1])])
    model, inner = network.model, network.parts
    model.set_weights([arrays[f"weight.{index}"] for index in range(len(model.weights))])
    found = {f"probability.{name}": value for name, value in model(arrays["images"]).items()}
    found |= {f"inner.{name}": value for name, value in inner(arrays["images"]).items()}
    heads = model.get_layer("attribute_scores")
    found["transformed"] = heads.scores(found["inner.features"], 2.0, 3.0)
    found["explained"] = heads.explain(found["inner.features"], 2.0, 3.0)[1]

    crossentropy = SummedCrossentropy([(1.0, 2.0)] * arrays["labels"].shape[1], from_logits=True)
    error = ReconstructionError(reconstruction_divisor(settings))

    def loss(trained, others):
        outputs, others, penalties = inner.stateless_call(
            trained, others, arrays["images"], training=True, return_losses=True
        )
        terms = [
            crossentropy(arrays["labels"], outputs["attributes"]),
            crossentropy(arrays["labels"], outputs["multi_label"]),
            4.0 * error(arrays["images"], outputs["reconstruction"]),
            *penalties,
        ]
        return sum(terms), (ops.stack(terms[:3]), others)

    variables = (
        [v.value for v in variables] for variables in (inner.trainable_variables, inner.non_trainable_variables)
    )
    (total, (terms, others)), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(*variables)
    found |= {"loss": total, "terms": terms}
    found |= {f"gradient.{v.path}": g for v, g in zip(inner.trainable_variables, gradients, strict=True)}
    found |= {f"statistics.{v.path}": o for v, o in zip(inner.non_trainable_variables, others, strict=True)}
    found["backend"] = keras.backend.backend()
    np.savez(folder / "found.npz", **{name: np.asarray(value) for name, value in found.items()})


if __name__ == "__main__":
    for name in sys.argv[1:]:
        main(Path(name))
