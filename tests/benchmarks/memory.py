"""How much memory a training step takes above the built model, and how little of that depends on K.

    python -m tests.benchmarks.memory

Every figure comes from a process of its own, which builds the whole model (128 channels, features 16x16) and the
optimizer's slots, then takes a few training steps with a batch of 16. The figure is the highest resident memory of
that time less the resident memory before it. It holds activations, gradients and the optimizer's temporaries, and
also what comes once, whatever K: tracing, thread pools and, where the heads are compiled, LLVM and its code.
Bar: less than a quarter more at the second K than at the first. Linux only. About 2 minutes on two cores.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

from mam_keras import command_line
from tests.benchmarks.network import make_batch, make_trainer
from tests.benchmarks.timing import machine, row

MEGABYTE = 1e6


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--attributes", type=int, nargs=2, default=(40, 160), help="the two K")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--feature-size", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--measure", choices=FORMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments)))
