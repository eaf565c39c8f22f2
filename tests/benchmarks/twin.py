"""Our training step and our answers beside those of a PyTorch twin, eager and compiled, in alternation.

    python -m tests.benchmarks.twin --python ENVIRONMENT/bin/python

ENVIRONMENT is a virtual environment with torch and numpy, which are no dependencies of ours; `twin_torch.py` is what
runs there. The network of configs/celeba_small.yaml (K = 40, images 64x64, batch 32) at C = 64 and 128: all three begin
with the same weights and must have the same loss on the same batch to 1e-4. Then they take turns, each for some
training steps and some answers about the batch, ours by the exported SavedModel, which also turns bytes into numbers.

Bars: our step at most 1 / 1.5 of the compiled twin's; as many images answered a second. About 10 minutes on two cores.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from mam_keras import command_line, config
from mam_keras.export.run import write
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from tests.benchmarks.timing import machine, row, seconds
from tests.model.examples import network_of

ATTRIBUTES = [f"attribute {k}" for k in range(40)]
SCRIPT = Path(__file__).with_name("twin_torch.py")


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.twin", description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="of an environment with torch")
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 128], help="C")
    parser.add_argument("--steps", type=int, default=5, help="of a turn")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(machine())
    for channels in arguments.channels:
        settings = config.load("configs/celeba_small.yaml", [f"model.channels={channels}"])
        print(
            f"\nC = {channels}; {arguments.steps} steps a turn; medians of {arguments.repeats} turns, and their range"
        )
        with tempfile.TemporaryDirectory() as folder:
            measure(settings, arguments, Path(folder))


def measure(settings, arguments, folder):
    ours = Ours(settings, folder)
    twins = {name: Twin(arguments.python, settings, name) for name in ("eager", "compiled")}
    try:
        for name, twin in twins.items():
            loss = float(twin.ask(f"load {ours.file}"))
            if abs(loss - ours.loss) > 1e-4 * ours.loss:
                raise AssertionError(f"the {name} twin's loss is {loss}, ours is {ours.loss}")
        calls = {"ours": ours.time} | {name: twin.time for name, twin in twins.items()}
        for asked in ("train", "answer"):
            for time in calls.values():
                time(asked, 2)  # compiles
            turns = {name: [] for name in calls}
            for _ in range(arguments.repeats):
                for name, time in calls.items():
                    turns[name].append(1000 * time(asked, arguments.steps) / arguments.steps)
            table(asked, turns)
    finally:
        for twin in twins.values():
            twin.close()


def table(asked, turns):
    what, bar = {"train": ("a step", 1.5), "answer": ("32 answers", 1.0)}[asked]
    for name, values in turns.items():
        row(f"  {name}, {what}", f"{median(values):,.0f} ms", f"{min(values):,.0f} to {max(values):,.0f}")
    for name in ("eager", "compiled"):
        ratio = median(turns[name]) / median(turns["ours"])
        held = (f"{bar:g}", ratio >= bar) if name == "compiled" else ("", None)
        row(f"  {name} / ours", f"{ratio:.2f}", *held)


class Ours:
    """The trainer's step on one batch, and the exported model; `file` has what a twin begins with."""

    def __init__(self, settings, folder):
        keras.utils.set_random_seed(0)
        network = network_of(settings, ATTRIBUTES)
        network.model.compile(make_optimizer(settings.training, 1000))
        self.trainer = Trainer(network, settings, Objective(network), tf.distribute.get_strategy())
        random = np.random.default_rng(0)
        size, batch = settings.data.image_size, settings.training.batch_size
        images = random.integers(0, 256, (batch, size, size, 3), np.uint8)
        labels = random.integers(0, 2, (batch, len(ATTRIBUTES))).astype(np.float32)
        weights = {f"weight_{at}": weight.numpy() for at, weight in enumerate(network.model.trainable_variables)}
        self.file = folder / "start.npz"
        np.savez(self.file, images=images, labels=labels, **weights)
        self.batch = tf.constant(images), tf.constant(labels)
        loaded = tf.saved_model.load(write(network, {"preparation": {"fit": "crop"}}, folder)[0])
        self.signature = loaded.signatures["serving_default"]
        self.loaded = loaded  # a signature does not keep what it is of
        self.step = tf.function(self.trainer._distributed_step)
        self.loss = float(self.step(*self.batch)["loss"])

    def time(self, asked, times):
        call = {"train": lambda: self.step(*self.batch), "answer": lambda: self.signature(image=self.batch[0])}[asked]
        return seconds(lambda: [call() for _ in range(times)])


class Twin:
    """`twin_torch.py` as a process of its own."""

    def __init__(self, python, settings, name):
        model, loss = settings.model, settings.loss
        command = [python, SCRIPT, "--channels", model.channels, "--threads", os.cpu_count()]
        command += ["--front-end", *model.backbone.front_end, "--dilations", *model.backbone.dilations]
        command += ["--weights", loss.alpha, loss.beta, loss.gamma, loss.lambda_]
        command += ["--compile"] * (name == "compiled")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([str(part) for part in command], **pipes)

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the twin ended; what it said is above")
        return answer

    def time(self, asked, times):
        return float(self.ask(f"{asked} {times}"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    command_line.run(main)
