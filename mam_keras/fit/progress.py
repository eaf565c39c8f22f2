"""How far is training? A line per epoch for whoever reads the log, and a small file for whoever watches a step."""

import time

import keras

from mam_keras.files import write_json

TELL_EVERY = 1.0  # seconds between two notes of how far it is


class EpochLines(keras.callbacks.Callback):
    """Prints loss, accuracies, speed and the time left after every epoch.

    Args:
        epochs: how many the run has.
        heads: {name of a head: what a line calls it}.
        steps: of an epoch.
        file: where `records.Progress` is kept while it trains; None for nowhere.
    """

    def __init__(self, epochs, heads, steps, file=None):
        super().__init__()
        self.epochs, self.heads, self._steps, self._file = epochs, heads, steps, file
        self._epoch, self._told = 0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.time()
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now, done = time.time(), batch + 1
        if self._file is None or (now - self._told < TELL_EVERY and done < self._steps):
            return
        self._told = now
        steps_left = self._steps * (self.epochs - self._epoch) - done
        left = (now - self.start) / done * steps_left
        told = {"epoch": self._epoch + 1, "epochs": self.epochs, "step": done, "steps": self._steps, "left": left}
        write_json(self._file, told)

    def on_epoch_end(self, epoch, logs):
        parts = [f"loss {logs['loss']:.3f}, {self._accuracies(logs, '')}"]
        if "val_loss" in logs:
            parts.append(f"validation: {self._accuracies(logs, 'val_')}")
        seconds = time.time() - self.start
        left = seconds * (self.epochs - epoch - 1)
        print(
            f"epoch {epoch + 1}/{self.epochs}: {', '.join(parts)}; "
            f"{logs['images_per_second']:.0f} images/s, {_duration(seconds)}, {_duration(left)} left",
            flush=True,
        )

    def _accuracies(self, logs, prefix):
        named = ((title, logs[f"{prefix}{head}_accuracy"]) for head, title in self.heads.items())
        return ", ".join(f"{name} {100 * accuracy:.1f} %" for name, accuracy in named)


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
