"""Benchmarks: programs, each run as `python -m tests.benchmarks.NAME` from the repository root. They test nothing."""

import os

from mam_keras.command_line import import_tensorflow

if os.environ.get("KERAS_BACKEND") != "jax":  # which one of them can do with
    import_tensorflow()
