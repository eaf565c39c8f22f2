"""On which devices a run trains, and how its workers tell each other what one of them knows. Knows no models.

A strategy of TensorFlow has replicas, one per device, which share each batch. Workers are processes; each holds as
many replicas as it has GPUs, or one.
"""

import contextlib
import faulthandler
import functools
import os
import signal
import threading
from pathlib import Path

import numpy as np
import tensorflow as tf

from mam_keras import command_line
from mam_keras.errors import RunError, UserError
from mam_keras.fit import cluster as clusters

CONNECTED_WITHIN = 300  # seconds from the meeting of the workers until TensorFlow has connected them
_SCALES = {"none": lambda replicas: 1.0, "linear": float, "square_root": np.sqrt}


def make(name, cluster):
    """The `tf.distribute.Strategy` of `distribute.strategy` on this machine, or of all workers of a `Cluster`.

    auto is mirrored where there are several GPUs. mirrored takes all GPUs or, without any, all logical CPU devices.
    With a cluster nothing of TensorFlow may have run before, and the main thread has to call.
    """
    if cluster:
        return _connect(cluster)
    devices = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(devices) > 1):
        devices = devices or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def fitted(config, replicas):
    """The configuration as so many replicas train it: its learning rate scaled where it says so.

    Raises `UserError` where they cannot share a batch equally, or cannot be compiled as a whole.
    """
    size = config.training.batch_size
    if size % replicas:
        near = [multiple for multiple in (size // replicas * replicas, (size // replicas + 1) * replicas) if multiple]
        raise UserError(
            f"training.batch_size: expected a multiple of {replicas}, the number of replicas that share a batch; "
            f"nearest: {' or '.join(map(str, near))}. Received: {size}"
        )
    if replicas > 1 and config.training.xla == "on":
        raise UserError(
            f"training.xla: expected auto or off with {replicas} replicas: a step that they share cannot be compiled "
            "as a whole. Received: 'on'"
        )
    rate = config.training.learning_rate * _SCALES[config.distribute.learning_rate_scale](replicas)
    return config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": float(rate)})})


def is_chief(strategy):
    """Whether this process is the one that writes; the only one is."""
    resolver = strategy.cluster_resolver
    if resolver is None:
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def gather(strategy, array):
    """What every worker gives, joined along the first axis in the workers' order: for all of them the same.

    Args:
        array: of a type of 4 or 8 bytes; equal in all dimensions but the first.
    """
    if strategy.cluster_resolver is None:
        return array
    words = np.ascontiguousarray(array).view(np.int32).ravel()  # one type and rank, so that one graph will do
    local = len(strategy.extended.worker_devices)

    def give(context):
        first = context.replica_id_in_sync_group % local == 0
        return tf.constant(words if first else words[:0])

    gathered = _gatherer(strategy)(strategy.experimental_distribute_values_from_function(give))
    return gathered.numpy().view(array.dtype).reshape(-1, *array.shape[1:])


def from_chief(strategy, content):
    """The chief's `content`, bytes or None, in every worker, whatever the others give."""
    if strategy.cluster_resolver is None:
        return content
    words = np.zeros(0, np.int32)
    if is_chief(strategy):
        length = -1 if content is None else len(content)
        whole = np.int64(length).tobytes() + (content or b"")
        words = np.frombuffer(whole + bytes(-len(whole) % 4), np.int32)
    whole = gather(strategy, words).tobytes()
    length = int(np.frombuffer(whole[:8], np.int64)[0])
    return None if length < 0 else whole[8 : 8 + length]


@contextlib.contextmanager
def naming_lost_workers(strategy):
    """Turns TensorFlow's error where another worker has ended, or is out of reach, into one line (`RunError`)."""
    try:
        yield
    except tf.errors.OpError as error:
        if strategy.cluster_resolver is None or "ollective" not in str(error):
            raise
        raise RunError(
            "another worker ended or cannot be reached; what it said says why. Start all workers again, with the same "
            "commands, to carry on from the last epoch"
        ) from error


def _connect(cluster):
    clusters.meet(cluster)
    print(f"Connecting {len(cluster.addresses)} workers, within {CONNECTED_WITHIN} s", flush=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no Python runs until they are; SIGTERM TensorFlow takes for itself
    with Path(os.devnull).open("w") as nowhere:
        # The others were here a moment ago. Should one be gone by now, no Python of ours could end the wait.
        faulthandler.dump_traceback_later(CONNECTED_WITHIN, exit=True, file=nowhere)
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError) as error:
            raise RunError(f"TF_CONFIG: {cluster.addresses[cluster.index]} cannot be connected: {error}") from None
        finally:
            faulthandler.cancel_dump_traceback_later()
    _heed_signals()
    return strategy


def _heed_signals():
    """Lets Ctrl-C and SIGTERM end this process at once, as they do without a cluster.

    TensorFlow takes SIGTERM for itself when it connects workers. And while it waits for another worker, Python's own
    handlers wait, too; so a thread of ours reads which signal came.
    """
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in codes:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=lambda: command_line.stop(codes[os.read(reading, 1)[0]]), daemon=True).start()


@functools.cache
def _gatherer(strategy):
    return tf.function(lambda values: strategy.gather(values, axis=0), reduce_retracing=True)
