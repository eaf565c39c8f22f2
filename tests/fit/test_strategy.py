"""Several devices train what one trains. (Processes that are lost: `test_workers.py`.)

On two logical CPU devices of one process, and in two processes on this machine, from real faces.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mam_keras import config
from mam_keras.data.pipeline import Prepared
from mam_keras.errors import UserError
from mam_keras.fit import run, strategy

ROOT = Path(__file__).parents[2]
SETTINGS = (  # 20 steps an epoch; 400 test images in batches of 96, or 48 for each of two
    "data.limit=400",
    "data.image_size=32",
    "model.channels=16",
    "model.front_end=[8,16]",
    "model.dilations=[1,2]",
    "training.batch_size=20",
    "training.epochs=3",
    "training.xla='off'",
    "evaluation.batch_size=96",
)
TOLERANCE = {"batch": 1e-4, "none": 1e-5, "directed": 1e-4}  # by case: norm of the weights' difference over their norm
several = pytest.mark.parametrize("name", ["mirrored", "multi_worker"])
cases = pytest.mark.parametrize("case", TOLERANCE)


@pytest.fixture(scope="module")
def trained(real_faces, tmp_path_factory):
    """What `replicas.py` finds under each strategy."""
    folder = tmp_path_factory.mktemp("replicas")
    program = [sys.executable, Path(__file__).with_name("replicas.py")]
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    starts = [("none", None), ("mirrored", None), ("multi_worker", 0), ("multi_worker", 1)]
    processes = []
    for name, index in starts:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        if index is not None:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        arguments = [name, folder / f"{name}.npz", ROOT / "configs/celeba_small.yaml"]
        command = [*program, *arguments, f"data.directory={real_faces}", *SETTINGS]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        if len(processes) == 2:  # at a time are enough for a small machine
            for process in processes:
                said = process.communicate(timeout=240)[0]
                assert process.returncode == 0, said.decode()
            processes.clear()
    return {name: dict(np.load(folder / f"{name}.npz")) for name, _ in starts}


def values(found, prefix):
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


@several
@cases
def test_the_weights_after_20_steps_are_those_of_one_device(trained, name, case):
    one, other = (values(trained[strategy], f"{case}.weights.") for strategy in ("none", name))
    assert (trained["none"]["replicas"], trained[name]["replicas"]) == (1, 2)
    assert (trained[name][f"{case}.steps"], set(one)) == (20, set(other))
    squares = [[((one[path] - other[path]) ** 2).sum(), (one[path] ** 2).sum()] for path in one]
    difference, norm = np.sqrt(np.sum(squares, axis=0, dtype=float))
    assert difference <= TOLERANCE[case] * norm


@several
@cases
def test_every_term_of_the_loss_is_that_of_one_device(trained, name, case):
    one, other = (values(trained[strategy], f"{case}.epoch.") for strategy in ("none", name))
    assert ("localisation_loss" in one) == (case == "directed")
    for term in one.keys() - {"images_per_second"}:
        assert other[term] == pytest.approx(one[term], rel=1e-3), term
    assert other["learning_rate"] == one["learning_rate"]


@several
@cases
def test_the_accuracy_is_that_of_one_device(trained, name, case):
    """After three epochs with batch normalisation, and one otherwise."""
    labels = trained["none"][f"{case}.labels"]
    for head in ("attributes", "multi_label"):
        one, other = (
            100 * ((trained[strategy][f"{case}.test.{head}"] >= 0.5) == labels).mean() for strategy in ("none", name)
        )
        assert other == pytest.approx(one, abs=0.3)


@several
def test_evaluation_counts_every_image_once_and_in_order(trained, name):
    """Without normalisation, where one device's weights are met closely: the last batch leaves a replica none."""
    one, other = (values(trained[strategy], "none.test.") for strategy in ("none", name))
    labels = trained[name]["none.labels"]
    assert len(labels) == 400
    for head, probabilities in other.items():
        np.testing.assert_allclose(probabilities, one[head], atol=1e-5)
    p = other["attributes"].astype(float)
    crossentropy = -np.where(labels, np.log(p), np.log1p(-p)).sum(axis=1).mean()
    assert trained[name]["none.value.attributes_loss"] == pytest.approx(crossentropy, rel=1e-5)
    assert trained[name]["none.value.attributes_accuracy"] == pytest.approx(((p >= 0.5) == labels).mean(), rel=1e-6)


# --- what a number of replicas asks of the configuration ---


def settings(training=None, **distribute):
    values = {"name": "a", "data": {"source": "synthetic_faces"}, "training": training or {}, "distribute": distribute}
    return config.check(values, "settings")


@pytest.mark.parametrize(
    "size, replicas, nearest", [(32, 3, "30 or 33"), (20, 8, "16 or 24"), (3, 4, "4"), (33, 32, "32 or 64")]
)
def test_a_batch_that_cannot_be_shared_equally_is_refused_with_the_nearest_that_can(size, replicas, nearest):
    with pytest.raises(UserError) as caught:
        strategy.fitted(settings({"batch_size": size}), replicas)
    assert str(caught.value) == (
        f"training.batch_size: expected a multiple of {replicas}, the number of replicas that share a batch; nearest: "
        f"{nearest}. Received: {size}"
    )


def test_a_step_compiled_as_a_whole_cannot_be_shared():
    assert strategy.fitted(settings({"xla": "on"}), 1) == settings({"xla": "on"})
    with pytest.raises(UserError, match=r"^training\.xla: expected auto or off with 2 replicas"):
        strategy.fitted(settings({"xla": "on"}), 2)


@pytest.mark.parametrize(("scale", "rate"), [("none", 1e-3), ("linear", 4e-3), ("square_root", 2e-3)])
def test_the_learning_rate_is_scaled_only_where_it_is_said(scale, rate):
    fitted = strategy.fitted(settings({"learning_rate": 1e-3}, learning_rate_scale=scale), 4)
    assert fitted.training.learning_rate == pytest.approx(rate)
    assert fitted.training.batch_size == 32
    assert settings().distribute.learning_rate_scale == "none"


# --- which devices ---


def test_one_device_needs_no_strategy():
    for name in ("auto", "none"):
        assert strategy.make(name, None) is tf.distribute.get_strategy()
    assert strategy.is_chief(tf.distribute.get_strategy())
    assert strategy.from_chief(tf.distribute.get_strategy(), b"content") == b"content"


@pytest.mark.parametrize("gpus, chosen", [(0, "Strategy"), (1, "Strategy"), (2, "MirroredStrategy")])
def test_auto_is_mirrored_where_there_are_several_gpus(monkeypatch, gpus, chosen):
    devices = tf.config.list_logical_devices("CPU") * gpus
    made = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices if kind == "GPU" else [])
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: made.append(names))
    strategy.make("auto", None)
    assert made == ([[device.name for device in devices]] if chosen == "MirroredStrategy" else [])
    made.clear()
    strategy.make("none", None)
    assert made == []


# --- what all workers must agree on ---


def test_other_data_or_settings_on_a_worker_are_refused(monkeypatch, tmp_path):
    def check(settings, others=(), ids=("a", "b")):
        """Returns what this worker tells the others, who told `others`."""
        told = []
        monkeypatch.setattr(strategy, "gather", lambda _, own: told.append(own) or np.concatenate([own, *others]))
        labels = np.zeros((2, 1), bool)
        run._check_equal(settings, None, (Prepared(np.zeros(2), np.array(ids), labels, None, ()), None), None)
        return told[0]

    own = check(settings())
    elsewhere = {"source": "synthetic_faces", "cache_directory": "b"}  # another machine has its own places
    check(config.check({"name": "a", "data": elsewhere}, "elsewhere"), [own, own])
    for other in (check(settings({"epochs": 7})), check(settings(), ids=("a", "c"))):
        with pytest.raises(UserError, match=r"Received: others on worker 2 than on this one"):
            check(settings(), [own, other])

    def directed(name, right):
        """By a file of this name, which holds one rectangle."""
        (tmp_path / name).write_text(f"attributes: {{Smiling: {{rectangles: [[0, 0, {right}, 1]]}}}}")
        values = settings().model_dump(mode="json", by_alias=True)
        values["loss"] |= {"localisation": 1.0, "regions": str(tmp_path / name)}
        values.pop("tune")
        return config.check(values, "directed")

    own = check(directed("a.yaml", 0.5))
    check(directed("b.yaml", 0.5), [own])
    with pytest.raises(UserError, match=r"Received: others on worker 2 than on this one"):
        check(directed("a.yaml", 0.6), [check(directed("a.yaml", 0.6)), own])
