"""One line per epoch for whoever watches or reads the log, with the time left."""

import time

import keras


class EpochLines(keras.callbacks.Callback):
    """Prints loss, accuracies, speed and the time left after every epoch.

    Args:
        epochs: how many the run has.
    """

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.time()

    def on_epoch_end(self, epoch, logs):
        accuracies = [
            f"{label} {100 * logs[name]:.1f} %"
            for label, name in (
                ("attributes", "attribute_accuracy"),
                ("multi-label", "multi_label_accuracy"),
                ("validation: attributes", "val_attribute_accuracy"),
                ("multi-label", "val_multi_label_accuracy"),
            )
            if name in logs
        ]
        seconds = time.time() - self.start
        left = seconds * (self.epochs - epoch - 1)
        print(
            f"epoch {epoch + 1}/{self.epochs}: loss {logs['loss']:.3f}, {', '.join(accuracies)}; "
            f"{logs['images_per_second']:.0f} images/s, {_duration(seconds)}, {_duration(left)} left",
            flush=True,
        )


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
