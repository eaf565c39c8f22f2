"""What there is in a stranger's data: classes and how often, sizes, doubles, what is not known. Decodes no image."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mam_keras import config, data
from mam_keras.data import some
from mam_keras.data.file_names import on_disk
from mam_keras.data.source import Source
from mam_keras.errors import UserError
from mam_keras.init import columns

MEASURED = 2000  # images whose size is read, evenly chosen
SMALL = 2000  # images; with fewer, a tenth is too little to test on
SHARES = [0.7, 0.15, 0.15]  # of train, validation and test among so few
MOST_READ = 50_000  # images whose bytes are compared, which reads all of them


@dataclass(frozen=True)
class Seen:
    """What `look` found.

    Attributes:
        section: the settings `data` that read them, plain values.
        table: what was guessed of a table; None of a folder.
        source: all images, whatever their class.
        sizes: int (m, 2), width and height of up to `MEASURED` images.
        unreadable: names of those among them that are no images, or are not there.
        doubles: lists of names of images with the same bytes.
        conflicting: how many of these lists hold different labels.
        divided: how many of these lists lie in more than one split.
    """

    section: dict
    table: columns.Columns | None
    source: Source
    sizes: np.ndarray
    unreadable: tuple[str, ...]
    doubles: tuple[tuple[str, ...], ...]
    conflicting: int
    divided: int

    @property
    def counts(self) -> dict[str, int]:
        """{name: images with it} over all splits, the most frequent first."""
        total = sum(split.labels.sum(axis=0) for split in self.source.splits.values())
        order = np.argsort(-total, kind="stable")
        return {self.source.attributes[k]: int(total[k]) for k in order}

    @property
    def drawn(self) -> bool:
        """Whether splits are drawn by shares."""
        return _drawn(self.section, self.source)

    @property
    def images(self) -> int:
        return sum(map(len, self.source.splits.values()))

    @property
    def unknown(self) -> int:
        """Labels that are not known; of classes that exclude each other, images whose class is not."""
        known = np.concatenate([split.known for split in self.source.splits.values()])
        return int(np.count_nonzero(~known[:, :1] if self.source.targets.exclusive else ~known))


def look(path: str | Path) -> Seen:
    """Looks at a folder with a folder for each class, a CSV (also the only one in a folder without classes), or CelebA.

    Raises `UserError` as the sources do.
    """
    path = Path(path)
    table, section, folder = None, {"source": "folders", "directory": str(path)}, path
    if not path.exists():
        raise UserError(f"{path}: expected a folder with a folder for each class, or a CSV. Received: nothing there")
    if path.is_dir():
        tables = [file for kind in ("*.csv", "*.tsv", "*.txt") for file in sorted(path.glob(kind))]
        folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        if any(file.stem == "list_attr_celeba" for file in tables):
            section, folder = {"source": "celeba", "directory": str(path)}, path / "img_align_celeba"
        elif len(folders) < 2 and tables:
            path = _only(path, tables)
    if path.is_file():
        table = columns.guess(path)
        folder = Path(table.settings.get("directory", path.parent))
        section = {"source": "table", "file": str(path), **table.settings}
    source = _read(section, path)
    if _drawn(section, source) and sum(map(len, source.splits.values())) < SMALL:
        section["shares"] = SHARES  # before anything is said of splits
        source = _read(section, path)
    _require_different(source, path)
    names = np.concatenate([split.ids for split in source.splits.values()]).tolist()
    chosen = np.unique(np.linspace(0, len(names) - 1, min(MEASURED, len(names))).astype(int))
    sizes, unreadable = _sizes(folder, [names[at] for at in chosen])
    return Seen(section, table, source, sizes, unreadable, *_doubles(source))


def _read(section, path):
    return data.load(config.check({"name": "seen", "data": section}, str(path)).data, training=False)


def _require_different(source, path):
    """Raises `UserError` where every attribute is the same in all images, so that there is nothing to learn."""
    known, labels = (
        np.concatenate([getattr(split, which) for split in source.splits.values()]) for which in ("known", "labels")
    )
    if not ((known & labels).any(axis=0) & (known & ~labels).any(axis=0)).any():
        raise UserError(
            f"{path}: expected images with and without at least one attribute; add those that are missing. Received: "
            f"{len(known)} images, and the same answer in all of them: {some(source.attributes)}"
        )


def _drawn(section, source):
    if section["source"] == "celeba":
        return False
    if section["source"] == "table":
        return "split_column" not in section
    return not any(name.split("/")[0].casefold().startswith("train") for name in source.splits["train"].ids[:1])


def _only(folder, tables):
    """The table of a folder; text files that stand beside a CSV are none."""
    tables = [file for file in tables if file.suffix != ".txt"] or tables
    if len(tables) > 1:
        raise UserError(
            f"{folder}: expected one table; which of them? Received: {some([str(file) for file in tables])}"
        )
    return tables[0]


def _sizes(folder, names):
    sizes, unreadable = [], []
    for name, file in zip(names, on_disk(folder, names), strict=True):
        try:
            with Image.open(file) as image:  # its header alone
                sizes.append(image.size)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            unreadable.append(name)
    return np.array(sizes, int).reshape(-1, 2), tuple(unreadable)


def _doubles(source):
    """By what is in the files: their names, how many lists have different labels, how many lie in several splits.

    None are looked for among more than `MOST_READ` images.
    """
    if sum(map(len, source.splits.values())) > MOST_READ:
        return (), 0, 0
    places: dict[int, list] = {}
    for split, images in source.splits.items():
        for row, digest in enumerate(images.contents().tolist()):
            if digest:  # 0: cannot be read
                places.setdefault(digest, []).append((split, row))
    found = [several for several in places.values() if len(several) > 1]
    labels = [{source.splits[split].labels[row].tobytes() for split, row in several} for several in found]
    names = tuple(tuple(str(source.splits[split].ids[row]) for split, row in several) for several in found)
    divided = sum(len({split for split, _ in several}) > 1 for several in found)
    return names, sum(len(each) > 1 for each in labels), divided


def few(counts: dict[str, int], least: int) -> list[str]:
    """The names with fewer images than `least`."""
    return [name for name, count in Counter(counts).items() if count < least]
