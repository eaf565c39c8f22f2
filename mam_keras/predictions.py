"""What a model's heads answered, split by split: one writer, one reader, one name for each head. Knows plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mam_keras.data.source import Targets
from mam_keras.files import expecting, read_arrays, replacing

THRESHOLD = 0.5  # an answer is "yes" where the probability is at least this
_TITLES = {"attributes": "attribute heads", "multi_label": "multi-label head", "attention": "attention branch"}
_WHAT = "the predictions of a finished run"
_NOT_HEADS = ("ids", "labels", "known", "groups")


def title(head: str, exclusive: bool = False) -> str:
    """How a page calls a head; `exclusive` as in `Targets`."""
    if exclusive and head == "attributes":
        return "classifier"
    return _TITLES.get(head, f"{head.replace('_', ' ')} head")


@dataclass(frozen=True)
class Predictions:
    """What a model answered for one split of n images and K targets.

    Attributes:
        ids: str (n,).
        labels: bool (n, K); False where not known.
        groups: int (n,) or None; images of one group (one person) are not independent.
        probabilities: of each head, float (n, K) in [0, 1]; the first one answers.
        known: bool (n, K), which labels are; all where it is left out.
        targets: what was asked; None where a run of an earlier version did not say.

    Raises `ValueError` where these do not fit together or a probability is not a number in [0, 1].
    """

    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    probabilities: dict[str, np.ndarray]
    known: np.ndarray | None = None
    targets: Targets | None = None

    def __post_init__(self):
        n, labels = len(self.ids), self.labels
        if labels.dtype != bool or labels.ndim != 2 or len(labels) != n or labels.size == 0:
            raise ValueError(
                f"`labels` must be bool (n, K), not empty, for n = {n} ids. Received: {labels.dtype} {labels.shape}"
            )
        if self.known is None:
            object.__setattr__(self, "known", np.ones(labels.shape, bool))
        if self.known.dtype != bool or self.known.shape != labels.shape:
            raise ValueError(f"`known` must be bool {labels.shape}. Received: {self.known.dtype} {self.known.shape}")
        if self.targets is not None and len(self.targets.names) != labels.shape[1]:
            raise ValueError(f"`targets` must be {labels.shape[1]}. Received: {len(self.targets.names)}")
        if self.groups is not None and self.groups.shape != (n,):
            raise ValueError(f"`groups` must be None or of shape ({n},). Received: {self.groups.shape}")
        if not self.probabilities:
            raise ValueError("`probabilities` must hold one head or more. Received: none")
        for head, probabilities in self.probabilities.items():
            if probabilities.shape != labels.shape:
                raise ValueError(
                    f"`probabilities['{head}']` must be of shape {labels.shape}. Received: {probabilities.shape}"
                )
            if not np.all((probabilities >= 0) & (probabilities <= 1)):
                raise ValueError(
                    f"`probabilities['{head}']` must be in [0, 1]. "
                    f"Received: {probabilities.min()} to {probabilities.max()}"
                )

    @property
    def units(self) -> np.ndarray:
        """int (n,), what the bootstrap resamples: the groups where there are any, the images otherwise."""
        return np.arange(len(self.ids)) if self.groups is None else self.groups

    @property
    def exclusive(self) -> bool:
        """Whether exactly one of the targets holds."""
        return self.targets is not None and self.targets.exclusive

    @property
    def main_head(self) -> str:
        """The head that answers."""
        return next(iter(self.probabilities))

    def answers(self, head: str) -> np.ndarray:
        """Which targets a head says "yes" to: bool (n, K)."""
        return answers(self.probabilities[head], self.exclusive)


def answers(probabilities: np.ndarray, exclusive: bool) -> np.ndarray:
    """bool (n, K): "yes" where the probability is at least 0.5; of exclusive targets the first of the most probable."""
    if exclusive:
        return np.arange(probabilities.shape[1]) == probabilities.argmax(axis=1)[:, None]
    return probabilities >= THRESHOLD


def write(path: Path, splits: Mapping[str, Predictions]) -> None:
    """One array per split and kind: SPLIT.ids, .labels, .known, .groups (if any), .HEAD; and names, exclusive."""
    arrays = {}
    for name, split in splits.items():
        if split.targets is not None:
            arrays |= {"names": np.array(split.targets.names), "exclusive": np.array(split.targets.exclusive)}
        arrays |= {f"{name}.ids": split.ids.astype(str), f"{name}.labels": split.labels, f"{name}.known": split.known}
        if split.groups is not None:
            arrays[f"{name}.groups"] = split.groups
        arrays |= {f"{name}.{head}": probabilities for head, probabilities in split.probabilities.items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def targets(path: Path) -> Targets | None:
    """What the heads of a run answer, as its predictions say; None where they do not, or there are none.

    Raises `UserError` for a damaged file.
    """
    arrays = read_arrays(path, _WHAT) or {}
    with expecting(path, _WHAT):
        return _targets(arrays)


def read(path: Path, split: str) -> Predictions | None:
    """The predictions of a split, as `write` left them; None where there is no file, or no such split in it.

    Raises `UserError` for a damaged file.
    """
    arrays, own = read_arrays(path, _WHAT) or {}, f"{split}."
    parts = {name.removeprefix(own): array for name, array in arrays.items() if name.startswith(own)}
    if not parts:
        return None
    heads = {name: array for name, array in parts.items() if name not in _NOT_HEADS}
    with expecting(path, _WHAT):
        labels, groups, known = parts["labels"], parts.get("groups"), parts.get("known")
        return Predictions(parts["ids"], labels, groups, heads, known, _targets(arrays))


def _targets(arrays):
    return Targets(tuple(map(str, arrays["names"])), bool(arrays["exclusive"])) if "names" in arrays else None
