"""What it buys on CPUs to keep freed memory and to compute with oneDNN, as every command does (`command_line`).

    python -m tests.benchmarks.process

Processes with both and without either take turns; each trains the whole network (40 attributes, 64 channels, features
16x16, batches of 32) on random images and gives its median step, the pages it was handed by the system per step, and
its highest resident memory. Memory is kept on Linux with glibc alone. No bar. About 5 minutes on two cores.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from statistics import median

from mam_keras import command_line
from tests.benchmarks.network import make_batch, make_trainer
from tests.benchmarks.timing import machine, row, seconds

ATTRIBUTES, FEATURE_SIZE, BATCH_SIZE = 40, 16, 32
STEPS = 25
COMMAND = "as every command"
WAYS = {  # whether freed memory is kept, TF_ENABLE_ONEDNN_OPTS
    COMMAND: (True, "1"),
    "memory as the system has it": (False, "1"),
    "without oneDNN": (True, "0"),
}


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.process", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="processes for each way")
    parser.add_argument("--channels", type=int, default=64, help="C")
    arguments = parser.parse_args()
    print(machine())
    found = {name: [] for name in WAYS}
    for _ in range(arguments.repeats):
        for name, (kept, kernels) in WAYS.items():
            program = f"from tests.benchmarks import process; process.measure({kept}, {arguments.channels})"
            environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": kernels}
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            found[name].append(json.loads(done.stdout))
    medians = {name: [median(values) for values in zip(*rows, strict=True)] for name, rows in found.items()}
    print(f"\nmedians of {arguments.repeats} processes")
    for name, (step, pages, peak) in medians.items():
        row(f"{name}: step", f"{1000 * step:.0f} ms")
        row(f"{name}: pages a step", f"{pages:,.0f}")
        row(f"{name}: peak memory", f"{peak:.0f} MB")
    for name, (step, *_) in medians.items():
        if name != COMMAND:
            row(f"step, {name} / {COMMAND}", f"{step / medians[COMMAND][0]:.2f}")


def measure(kept, channels):
    """Prints [median seconds of a step, page faults per step, peak megabytes] of this process."""
    if kept:
        command_line.keep_freed_memory()
    trainer = make_trainer(ATTRIBUTES, channels, FEATURE_SIZE, BATCH_SIZE)
    batch = make_batch(ATTRIBUTES, FEATURE_SIZE, BATCH_SIZE)
    for _ in range(3):  # compiling
        trainer.step(*batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    times = [seconds(lambda: trainer.step(*batch)) for _ in range(STEPS)]
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([median(times), (after.ru_minflt - before) / STEPS, after.ru_maxrss * 1024 / 1e6]))


if __name__ == "__main__":
    command_line.run(main)
