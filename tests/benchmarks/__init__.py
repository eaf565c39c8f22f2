"""Benchmarks: programs, each run as `python -m tests.benchmarks.NAME` from the repository root. They test nothing."""

from mam_keras.command_line import import_tensorflow

import_tensorflow()
