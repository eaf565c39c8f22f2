"""Times several ways of doing the same thing beside each other. Knows nothing of what they do."""

import os
import time
from statistics import median

import tensorflow as tf


def seconds(call):
    """How long one call takes, in seconds, until the device is done with it."""
    start = time.perf_counter()
    call()
    tf.test.experimental.sync_devices()
    return time.perf_counter() - start


def interleaved(calls, repeats):
    """Median seconds of each of several calls, {name: call} -> {name: seconds}.

    The calls take turns in one process: what disturbs the machine meanwhile disturbs them all alike.
    """
    times = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return {name: median(values) for name, values in times.items()}


def machine():
    """One line on what a figure was measured on; a load above 0 before the measurement is somebody else's work."""
    devices = ", ".join(sorted({device.device_type for device in tf.config.list_logical_devices()}))
    return (
        f"TensorFlow {tf.__version__} on {devices}, {os.cpu_count()} CPU cores, load at the start "
        f"{os.getloadavg()[0]:.1f}"
    )


def row(name, value, bar="", met=None):
    """One line of a table: what was measured, the figure, and the bar it is held against."""
    mark = {None: "", True: "met", False: "MISSED"}[met]
    print(f"{name:<52} {value:>14}   {bar:<16} {mark}".rstrip(), flush=True)
