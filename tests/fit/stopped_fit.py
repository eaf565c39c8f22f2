"""`python stopped_fit.py MOMENT SIGNAL ARGUMENTS`: `mam_keras.fit`, which sends itself the signal at that moment."""

import io
import itertools
import os
import signal
import sys

from mam_keras import command_line

command_line.import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from mam_keras import evaluation  # noqa: E402
from mam_keras.data import pipeline  # noqa: E402
from mam_keras.fit import __main__, checkpoint  # noqa: E402
from mam_keras.fit.loop import Trainer  # noqa: E402
from mam_keras.fit.progress import EpochLines  # noqa: E402


def filling_the_cache(stop):
    readable = pipeline._readable

    def stopped(*arguments):
        for number, image in enumerate(readable(*arguments), 1):
            if number == 15:
                stop()
            yield image

    pipeline._readable = stopped


def in_a_step(stop):
    """The third of the second epoch that this process trains."""
    steps = itertools.count(1)
    EpochLines.on_train_batch_end = lambda *_, **__: stop() if next(steps) == 8 else None


def half_a_checkpoint(stop):
    """Of the first epoch that this process trains."""

    def stopped(file, **arrays):
        if "last" not in file.name:
            return savez(file, **arrays)
        savez(whole := io.BytesIO(), **arrays)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        stop()

    savez, np.savez = np.savez, stopped


def between_the_checkpoints(stop):
    """After the last epoch's, before the best one's, which every epoch is said to be so that it comes at once."""
    save, saved = checkpoint.save, []

    def stopped(path, *arguments):
        if path.name == "last.npz":
            save(path, *arguments)
            saved.append(path)
        elif saved:
            stop()

    checkpoint.save = stopped
    Trainer._epochs_since_best = lambda _: 0


def saving_the_model(stop):
    save = keras.Model.save

    def stopped(model, path):
        save(model, path)
        os.truncate(path, path.stat().st_size // 2)
        stop()

    keras.Model.save = stopped


def evaluating(stop):
    evaluation.evaluate = lambda *_: stop()


if __name__ == "__main__":
    moment, number, *arguments = sys.argv[1:]
    globals()[moment](lambda: os.kill(os.getpid(), signal.Signals[number]))
    sys.argv[1:] = arguments
    command_line.run(__main__.main)
