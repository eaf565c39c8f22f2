"""A finished run as a library has it: images in, answers and maps out. Draws nothing but what it is asked to."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from mam_keras import command_line
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data import nearest
from mam_keras.errors import UserError
from mam_keras.explain.overlay import overlay

BATCH = 16  # images at a time


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network answers about one image, and what it looks at.

    Attributes:
        name: the image's path, or which one of those given it was.
        image: uint8 (S, S, 3), as the network sees it.
        targets: K names.
        probabilities: float32 (K,).
        answers: bool (K,), which targets are answered "yes"; of classes that exclude each other, one.
        heads: {name: probabilities, float32 (K,)} of the network's further heads.
        maps: {name: float32 (H, W, K), or (H, W, 1) where one map serves all targets}; the first is the system's own.
            Of the maps' kinds says `Classifier.maps`.
    """

    name: str
    image: np.ndarray
    targets: tuple[str, ...]
    probabilities: np.ndarray
    answers: np.ndarray
    heads: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]

    @property
    def answered(self) -> tuple[str, ...]:
        """The targets that are answered "yes", the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return tuple(self.targets[k] for k in order if self.answers[k])

    def map(self, target: str | None = None, name: str | None = None) -> np.ndarray:
        """A map of one target, float32 (H, W); the most probable one's and the system's own when left out.

        Raises `UserError` for a target or a map that there is not.
        """
        found = self.maps[_known(next(iter(self.maps)) if name is None else name, self.maps, "map")]
        k = int(self.probabilities.argmax()) if target is None else self.targets.index(self._target(target))
        return found[..., 0 if found.shape[-1] == 1 else k]

    def overlay(self, target: str | None = None, name: str | None = None, size: int = 512) -> Image.Image:
        """`map` over the image, as a picture (`explain.overlay.overlay` says what its colours mean)."""
        return overlay(self.image, self.map(target, name), size)

    def _target(self, name):
        return _known(name, self.targets, "target")


class Classifier:
    """A finished run's network, asked about images.

    Args:
        run: its directory. Its data need not be there any more.

    Attributes:
        targets: K names.
        exclusive: whether exactly one of them holds.
        image_size: S.
        network: the `model.network.Network`, `network.model` the Keras model.
        maps: {name: its "title", "note" (what it is and what it is not) and "signed"}.

    Raises `UserError` where there is no finished run, or its files are damaged.
    """

    def __init__(self, run: str | os.PathLike[str]):
        opened = TrainedRun(Path(run))
        if not opened.directory.model.exists():
            raise UserError(f"{run}: expected the directory of a finished run. Received: no model.keras in it")
        command_line.import_tensorflow()
        import tensorflow as tf

        self._settings = opened.config.data
        self.network: Any = opened.network
        self.targets: tuple[str, ...] = self.network.targets.names
        self.exclusive: bool = self.network.targets.exclusive
        self.image_size: int = self.network.image_size
        self.maps: dict[str, dict[str, Any]] = self.network.described
        heads = self.network.computing(*(head.name for head in self.network.heads))

        @tf.function(reduce_retracing=True)
        def look(pictures):
            images = tf.cast(pictures, tf.float32) / 255.0
            return heads(images, training=False), {name: one.show(images) for name, one in self.network.maps.items()}

        self._look = look

    @overload
    def explain(self, images: str | os.PathLike[str]) -> Explanation: ...  # type: ignore[overload-overlap]
    @overload
    def explain(self, images: np.ndarray) -> Explanation | list[Explanation]: ...
    @overload
    def explain(self, images: Sequence[str | os.PathLike[str] | np.ndarray]) -> list[Explanation]: ...
    def explain(self, images: Any) -> Explanation | list[Explanation]:
        """Answers and maps of one image, or of each of several, in batches.

        Args:
            images: the path of a file or an array (height, width, 3), uint8 or float in [0, 1], as
                `data.given.prepared` takes them; or several: a list of these, or an array (N, height, width, 3).

        Raises `UserError`, naming the image, for one that is not right.
        """
        one = isinstance(images, (str, os.PathLike)) or (isinstance(images, np.ndarray) and images.ndim != 4)
        one = one or not isinstance(images, Iterable)  # a picture of another library, which is refused
        given = [images] if one else list(images)
        names = [
            str(image) if isinstance(image, (str, os.PathLike)) else "image" if one else f"image {number}"
            for number, image in enumerate(given)
        ]
        found: list[Explanation] = []
        for start in range(0, len(given), BATCH):
            rows = slice(start, start + BATCH)
            pictures = [self.prepare(image, name) for image, name in zip(given[rows], names[rows], strict=True)]
            found += self.look(pictures, names[rows])
        return found[0] if one else found

    def prepare(self, image: str | os.PathLike[str] | np.ndarray, name: str = "image") -> np.ndarray:
        """An image as the network was trained on: uint8 (S, S, 3). Raises `UserError` as `explain`."""
        from mam_keras.data import given

        return given.prepared(image, self.image_size, self._settings.fit, name)

    def look(self, pictures: Iterable[np.ndarray], names: Sequence[str]) -> list[Explanation]:
        """`explain` of images as `prepare` gives them, all at once."""
        pictures = np.stack(list(pictures))
        logits, maps = self._look(pictures)
        logits = {name: values.numpy() for name, values in logits.items()}
        maps = {name: values.numpy() for name, values in maps.items()}
        main, *others = logits
        shares = {name: np.asarray(self.network.probabilities(values)) for name, values in logits.items()}
        answers = self.network.answers(logits[main])
        return [
            Explanation(
                name,
                pictures[row],
                self.targets,
                shares[main][row],
                answers[row],
                {other: shares[other][row] for other in others},
                {kind: values[row] for kind, values in maps.items()},
            )
            for row, name in enumerate(names)
        ]

    def known(self, targets: Iterable[str]) -> list[str]:
        """These targets. Raises `UserError` for one that the network does not answer."""
        return [_known(name, self.targets, "target") for name in targets]


def _known(name, names, what):
    if name not in names:
        raise UserError(f"{name}: expected a {what} of this network; did you mean {nearest(name, names)!r}?")
    return name
