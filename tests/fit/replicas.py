"""`python replicas.py STRATEGY OUT CONFIG [section.key=value ...]`: trains under a strategy.

`mirrored` has two logical CPU devices. It trains three times: with batch normalisation, without any but clipped
gradients, and directed by Grad-CAM below a batch normalisation, whose gradients all replicas add up as well.
The chief writes to OUT, an .npz, of each: the weights after the first epoch, and after the last what it evaluates on
the test split.
"""

import sys

from mam_keras import command_line

command_line.import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from mam_keras import config, data, systems  # noqa: E402
from mam_keras.data import pipeline  # noqa: E402
from mam_keras.fit import cluster, guidance, strategy  # noqa: E402
from mam_keras.fit.loop import Objective, Trainer  # noqa: E402
from mam_keras.fit.optimizer import make_optimizer  # noqa: E402
from mam_keras.run_directory import RunDirectory  # noqa: E402

CASES = {
    "batch": [],
    "none": ["model.normalization=none", "training.epochs=1", "training.clip_norm=1.0"],
    "directed": [
        "training.epochs=1",
        "loss.localisation=0.5",
        "loss.localisation_by=iou",
        "loss.localisation_map=front_end.1.relu",
        "loss.directed={Smiling: [1, 2]}",
    ],
}


def main(name, out, file, *overrides):
    if name == "mirrored":
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    devices = strategy.make(name, cluster.read(name))
    found = {}
    for case, changes in CASES.items():
        settings = strategy.fitted(config.load(file, [*overrides, *changes]), devices.num_replicas_in_sync)
        for key, array in train(settings, devices, f"{out}.{case}").items():
            found[f"{case}.{key}"] = array
    if strategy.is_chief(devices):
        np.savez(out, replicas=devices.num_replicas_in_sync, **found)


def train(settings, devices, folder):
    keras.utils.set_random_seed(settings.seed)
    source = data.load(settings.data)
    train, test = (pipeline.read(source.splits[name], name, settings.data) for name in ("train", "test"))
    steps = len(train) // settings.training.batch_size
    with devices.scope():
        network = systems.attach(settings, source.targets, systems.build(settings, source.targets))
        blocks = guidance.guide(settings, network, train) if settings.loss.localisation else None
        network.model.compile(make_optimizer(settings.training, steps), **network.losses())
        trainer = Trainer(network, settings, Objective(network), devices)
    weights = {}

    def note(epoch, logs):
        if epoch == 0:
            weights.update({variable.path: variable.numpy() for variable in network.model.variables})

    trainer.fit(train, None, RunDirectory(folder), [keras.callbacks.LambdaCallback(on_epoch_end=note)], blocks)
    values, probabilities = trainer.evaluate(test)
    found = {f"weights.{path}": value for path, value in weights.items()} | {
        f"test.{head}": array for head, array in probabilities.items()
    }
    found |= {"steps": steps, "labels": test.labels} | {f"value.{name}": value for name, value in values.items()}
    return found | {f"epoch.{name}": value for name, value in trainer.history[-1].items()}


if __name__ == "__main__":
    command_line.run(lambda: main(*sys.argv[1:]))
