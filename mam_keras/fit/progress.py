"""One line per epoch for whoever watches or reads the log, with the time left."""

import time

import keras


class EpochLines(keras.callbacks.Callback):
    """Prints loss, accuracies, speed and the time left after every epoch.

    Args:
        epochs: how many the run has.
        heads: names of the heads.
    """

    def __init__(self, epochs, heads):
        super().__init__()
        self.epochs, self.heads = epochs, heads

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.time()

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
        named = ((head.replace("_", "-"), logs[f"{prefix}{head}_accuracy"]) for head in self.heads)
        return ", ".join(f"{name} {100 * accuracy:.1f} %" for name, accuracy in named)


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
