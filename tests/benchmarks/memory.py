"""How much memory a training step takes above the built model, and how little of that depends on K. Linux only.

    python -m tests.benchmarks.memory

Every figure is from a process of its own, which builds the whole network (128 channels, features 16x16) and the
optimizer's slots, then takes five training steps with a batch of 16: its highest resident memory from then on, less its
resident memory before. Bar: less than a quarter more at K = 160 than at K = 40, as the `Trainer` trains by default.

Part of it is taken once, whatever K: graphs and thread pools, the extractor's activations and, where XLA compiles,
LLVM and its code (some 50 MB for the first function, however small). The rows without masks show all of that but XLA.
What must grow is the weights' gradients and the optimizer's temporaries, K C^2 numbers each (2.6 MB at K = 40, 10.5 MB
at K = 160), and scores and their gradients, N H W K numbers each (the same here). Beside it K separate Keras branches.
About 2 minutes on two cores.
"""

import argparse
import gc
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

from mam_keras import command_line
from tests.benchmarks.network import make_batch, make_trainer
from tests.benchmarks.timing import machine, row

TRAINED = "ours, compiled"
FORMS = {
    TRAINED: {"xla": "auto"},
    "ours, not compiled": {"xla": "off"},
    "K Keras branches": {"masks": "branches"},
    "without masks": {"masks": "none"},
}
MORE_BRANCHES = 80  # enough to see how they grow; 160 branches take minutes to trace


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=128, help="C")
    parser.add_argument("--feature-size", type=int, default=16, help="height and width of the features")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3, help="processes per figure held against the bar")
    parser.add_argument("--measure", nargs=2, metavar=("FORM", "K"), help="one figure alone, in this process")
    arguments = parser.parse_args()
    sizes = (arguments.channels, arguments.feature_size, arguments.batch_size)
    if arguments.measure:
        form, attributes = arguments.measure
        print(above_the_built_model(form, int(attributes), *sizes))
        return
    print(machine())
    print(f"C = {sizes[0]}, features {sizes[1]}x{sizes[1]}, batch {sizes[2]}")
    for form, settings in FORMS.items():
        repeats = arguments.repeats if form == TRAINED else 1
        few, many = 40, MORE_BRANCHES if settings.get("masks") == "branches" else 160
        first, second = (_median(form, attributes, sizes, repeats) for attributes in (few, many))
        print(f"\n{form}, " + ("one process" if repeats == 1 else f"medians of {repeats} processes"))
        row(f"  K = {few}", f"{first:.0f} MB")
        row(f"  K = {many}", f"{second:.0f} MB")
        growth = second / first - 1
        bar = ("25 %", growth < 0.25) if form == TRAINED else ()
        row("  growth", f"{growth:+.0%}", *bar)


def above_the_built_model(form, attributes, channels, feature_size, batch_size, steps=5):
    """Megabytes at the peak of `steps` training steps, less those before, of this process."""
    trainer = make_trainer(attributes, channels, feature_size, batch_size, **FORMS[form])
    batch = make_batch(attributes, feature_size, batch_size)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    built = resident("VmRSS")
    for _ in range(steps):
        trainer.step(*batch)
    return resident("VmHWM") - built


def resident(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6


def _median(form, attributes, sizes, repeats):
    options = zip(("--channels", "--feature-size", "--batch-size"), sizes, strict=True)
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--measure", form, str(attributes)]
    command += [str(word) for option in options for word in option]
    return median(
        float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout) for _ in range(repeats)
    )


if __name__ == "__main__":
    command_line.run(main)
