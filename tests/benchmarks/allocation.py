"""What it buys to keep freed memory (`command_line.keep_freed_memory`) while training on CPUs. Linux with glibc only.

    python -m tests.benchmarks.allocation

Processes with and without it take turns; each trains the whole network (40 attributes, 64 channels, features 16x16,
batches of 32) on random images and gives its median step, the pages it was handed by the system per step, and its
highest resident memory. No bar. About 3 minutes on two cores.
"""

import argparse
import json
import resource
import subprocess
import sys
from statistics import median

from mam_keras import command_line
from tests.benchmarks.network import make_batch, make_trainer
from tests.benchmarks.timing import machine, row, seconds

ATTRIBUTES, CHANNELS, FEATURE_SIZE, BATCH_SIZE = 40, 64, 16, 32
STEPS = 25
WAYS = {"freed memory is kept": True, "as the system has it": False}


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.allocation", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="processes for each way")
    arguments = parser.parse_args()
    print(machine())
    found = {name: [] for name in WAYS}
    for _ in range(arguments.repeats):
        for name, kept in WAYS.items():
            program = f"from tests.benchmarks import allocation; allocation.measure({kept})"
            done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
            found[name].append(json.loads(done.stdout))
    medians = {name: [median(values) for values in zip(*rows, strict=True)] for name, rows in found.items()}
    print(f"\nmedians of {arguments.repeats} processes")
    for name, (step, pages, peak) in medians.items():
        row(f"{name}: step", f"{1000 * step:.0f} ms")
        row(f"{name}: pages a step", f"{pages:,.0f}")
        row(f"{name}: peak memory", f"{peak:.0f} MB")
    kept, plain = medians.values()
    row("step, as the system has it / kept", f"{plain[0] / kept[0]:.2f}")


def measure(kept):
    """Prints [median seconds of a step, page faults per step, peak megabytes] of this process."""
    if kept:
        command_line.keep_freed_memory()
    trainer = make_trainer(ATTRIBUTES, CHANNELS, FEATURE_SIZE, BATCH_SIZE)
    batch = make_batch(ATTRIBUTES, FEATURE_SIZE, BATCH_SIZE)
    for _ in range(3):  # compiling
        trainer.step(*batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    times = [seconds(lambda: trainer.step(*batch)) for _ in range(STEPS)]
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([median(times), (after.ru_minflt - before) / STEPS, after.ru_maxrss * 1024 / 1e6]))


if __name__ == "__main__":
    command_line.run(main)
