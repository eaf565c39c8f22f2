"""What a run was trained on: the name, the labels and the content of every image; and what of that differs today.

`fit` leaves it as data.npz before it trains, and it is compared wherever the run meets its data again. Attributes are
matched by name and images by id; an image is the same where its file is, byte for byte, or what it becomes once
prepared, pixel for pixel. Where images are and in which order does not count. Knows no source.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mam_keras import data, predictions
from mam_keras.data import some
from mam_keras.data.source import Data, Source, Targets, digests
from mam_keras.errors import UserError
from mam_keras.files import expecting, read_arrays, replacing
from mam_keras.statistics import ratio

_WHAT = "the names, labels and digests of a run's images"


class Different(UserError):  # noqa: N818 (an answer, which report may go on from)
    """The data are not those of the run; `what` says how they differ, with counts."""

    def __init__(self, path: Path, what: str, remedy: str = "put them back, or evaluate them apart by report --data"):
        super().__init__(f"{path}: expected the data that the run was trained on. Received: {what}; {remedy}")
        self.path, self.what = path, what


@dataclass(frozen=True)
class Images:
    """One split of n images and K targets as a run had it.

    Attributes:
        ids, labels, known, groups: as in `source.Split`.
        files: uint64 (n,), as `source.Split.contents`; None where a run of an earlier version does not say.
        pixels: uint64 (n,), of the prepared images; likewise.
        left_out: str (m,), ids of what could not be read.
    """

    ids: np.ndarray
    labels: np.ndarray
    known: np.ndarray
    groups: np.ndarray | None
    files: np.ndarray | None = None
    pixels: np.ndarray | None = None
    left_out: np.ndarray | tuple = ()

    def __post_init__(self):
        n = len(self.ids)
        if self.labels.dtype != bool or self.labels.ndim != 2 or self.known.dtype != bool:
            raise ValueError("labels that are not bool (n, K)")
        rows = (self.labels, self.known[:, : self.labels.shape[1]], self.groups, self.files, self.pixels)
        if any(array is not None and len(array) != n for array in rows) or self.known.shape != self.labels.shape:
            raise ValueError(f"arrays of other images than {n}")

    @property
    def rates(self) -> np.ndarray:
        """float (K,), the share of positive images among those whose label is known; NaN where none is."""
        return ratio(self.labels.sum(axis=0), self.known.sum(axis=0))

    def take(self, rows: np.ndarray) -> "Images":
        """These images alone, in this order: int (m,)."""
        arrays = {name: getattr(self, name) for name in ("ids", "labels", "known", "groups", "files", "pixels")}
        return replace(self, **{name: None if array is None else array[rows] for name, array in arrays.items()})

    def also_in(self, other: "Images") -> int:
        """How many of these images `other` has, whatever they are called there."""
        return int((np.isin(self.files, other.files) | np.isin(self.pixels, other.pixels)).sum())


@dataclass(frozen=True)
class Record:
    """What a run says of its data.

    Attributes:
        path: of the file that says it.
        targets: what was asked; None where a run of an earlier version does not say.
        splits: {name: `Images`}.
    """

    path: Path
    targets: Targets | None
    splits: Mapping[str, Images]

    def asked(self, source: Source) -> Source:
        """The source asked about the run's targets, in their order; attributes that the run does not have are left out.

        Raises `Different` where it lacks a target, or a split that the run was evaluated on.
        """
        targets = self.targets or source.targets
        if targets.exclusive != source.targets.exclusive:
            kinds = ("attributes", "classes that exclude each other")
            raise Different(self.path, kinds[source.targets.exclusive])
        if lacking := [name for name in targets.names if name not in source.attributes]:
            raise Different(self.path, f"no labels of {some(lacking)}, but of {some(source.attributes)}")
        if lacking := [name for name in self.splits if name not in source.splits and name != "train"]:
            raise Different(self.path, f"no {some(lacking)} images")
        return data.asked_about(source, targets)

    def matched(self, splits: Mapping) -> dict:
        """{split: `pipeline.Prepared`}, asked about the run's targets, in the order in which the run had the images.

        Images that the run could not read are left out. Raises `Different` for all else that is not as it was; where
        `images` is None an image is the same by its file alone.
        """
        found, said = {}, []
        for name, here in splits.items():
            there = self.splits.get(name)
            if there is None:
                said.append(f"{name}: {len(here):,} images, where the run had none")
                continue
            same, differences = _compared(there, here, self.targets)
            if differences:
                said.append(f"{name}: {', '.join(differences)}")
            else:
                found[name] = replace(same, groups=there.groups)  # whatever they are called today
        if said:
            raise Different(self.path, "; ".join(said))
        return found


def first(record: Record | None, prepared, split: str):
    """The first images of a split, `pipeline.Prepared`, compared with those that the run had (`Record.matched`)."""
    there = None if record is None else record.splits.get(split)
    if there is None:
        return prepared
    rows = np.flatnonzero(np.isin(there.ids, prepared.ids))
    return replace(record, splits={split: there.take(rows)}).matched({split: prepared})[split]


def write(path: Path, targets: Targets, splits: Mapping) -> None:
    """What a run is trained on, {split: `pipeline.Prepared`}: names, exclusive, and the arrays of `Images` by split."""
    arrays = {"names": np.array(targets.names), "exclusive": np.array(targets.exclusive)}
    for name, split in splits.items():
        arrays |= {
            f"{name}.ids": split.ids.astype(str),
            f"{name}.labels": split.labels,
            f"{name}.known": split.known,
            f"{name}.files": np.zeros(len(split), np.uint64) if split.contents is None else split.contents,
            f"{name}.pixels": of_pixels(split.images),
            f"{name}.left_out": np.array(split.left_out, str),
        }
        if split.groups is not None:
            arrays[f"{name}.groups"] = split.groups
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: Path, content: bytes | None = None) -> Record | None:
    """What `write` left, or its bytes `content`; None where there is no file. Raises `UserError` for a damaged one."""
    arrays = read_arrays(path, _WHAT, content)
    if arrays is None:
        return None
    with expecting(path, _WHAT):
        targets = Targets(tuple(map(str, arrays.pop("names"))), bool(arrays.pop("exclusive")))
        parts = {}
        for name, array in arrays.items():
            split, _, part = name.partition(".")
            parts.setdefault(split, {"groups": None})[part] = array
        splits = {split: Images(**of_split) for split, of_split in parts.items()}
        if any(split.labels.shape[1] != len(targets.names) for split in splits.values()):
            raise ValueError(f"labels of other than {len(targets.names)} targets")
        return Record(path, targets, splits)


def of_predictions(path: Path, targets: Targets | None) -> Record | None:
    """What the predictions of a run of an earlier version say: nothing of training images, nor of any one's content."""
    found = {name: predictions.read(path, name) for name in ("validation", "test")}
    splits = {name: Images(one.ids, one.labels, one.known, one.groups) for name, one in found.items() if one}
    return Record(path, targets, splits) if splits or targets else None


def require_same(runs: Iterable[tuple[Path, Data]]) -> None:
    """Compares what runs left at a path each with what data settings lead to today, image by image, by their files.

    Raises `Different` for the first one that is not the same. Runs that left nothing are taken to be.
    """
    from mam_keras.data.pipeline import Prepared

    sources = {}
    for path, settings in runs:
        if (record := read(path)) is None:
            continue
        if settings not in sources:
            sources[settings] = data.load(settings)
        today = record.asked(sources[settings]).splits
        try:
            record.matched(
                {
                    name: Prepared(None, one.ids, one.labels, one.groups, (), one.known, contents=one.contents())
                    for name, one in today.items()
                }
            )
        except Different as error:
            raise Different(path, error.what, "put them back, or start another --run") from None


def of_pixels(images: Iterable[np.ndarray]) -> np.ndarray:
    """`digests` of prepared images, uint64 (n,). 12,000 of 64x64 take 0.3 s."""
    return digests(np.ascontiguousarray(image) for image in images)


def _compared(there, here, targets):
    """The images of today in the order of `there`, and what differs, each with its count."""
    rows = {name: row for row, name in enumerate(here.ids.tolist())}
    at = np.array([rows.get(name, -1) for name in there.ids.tolist()], int)
    both = np.flatnonzero(at >= 0)
    found, names = here.take(at[both]), there.ids[both]
    if there.labels.shape[1] != found.labels.shape[1]:
        return found, [f"{found.labels.shape[1]} attributes instead of {there.labels.shape[1]}"]
    labels = (there.labels[both] != found.labels) | (there.known[both] != found.known)
    if targets is None or targets.exclusive:
        said = _counted(names[labels.any(axis=1)], "of other labels")
    else:
        counts = zip(labels.sum(axis=0).tolist(), targets.names, strict=True)
        changed = [f"{count:,} labels of {name}" for count, name in counts if count]
        said = [f"{some(changed)} differ"] if changed else []
    said += _counted(names[_other_content(there, both, found)], "with other content")
    groups = _first_of_group(there.groups, both), _first_of_group(found.groups, np.arange(len(both)))
    said += _counted(names[groups[0] != groups[1]], "of other groups")
    said += _counted(there.ids[at < 0], "missing")
    known = {*there.ids.tolist(), *np.asarray(there.left_out, str).tolist()}
    return found, said + _counted([name for name in rows if name not in known], "new")


def _counted(names, what):
    count = f"{len(names):,} image{'s' * (len(names) != 1)}"
    return [f"{count} {what} ({some(list(names))})"] if len(names) else []


def _other_content(there, rows, found):
    """Which of the images that both have are another picture: indices."""
    if there.files is None or found.contents is None:
        return []
    other = np.flatnonzero((there.files[rows] != found.contents) | (found.contents == 0))
    if found.images is None or not len(other):
        return other
    return other[of_pixels(found.images[other]) != there.pixels[rows][other]]


def _first_of_group(groups, rows):
    """Of each image the first one of its group, whatever groups are called; without groups the image itself."""
    _, first, group = np.unique(rows if groups is None else groups[rows], return_index=True, return_inverse=True)
    return first[group]
