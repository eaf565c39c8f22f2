"""The official raw layout of CelebA (Liu et al. 2015), or a part of it, as text or as Kaggle's CSV. Opens no image.

img_align_celeba/*.jpg                         (Kaggle's img_align_celeba/img_align_celeba/*.jpg too)
list_attr_celeba.txt | list_attr_celeba.csv         labels, 1/-1 or 1/0
list_eval_partition.txt | list_eval_partition.csv   0 train, 1 validation, 2 test
identity_CelebA.txt                            who is in the image, where present: the groups
list_landmarks_align_celeba.txt | .csv         where the eyes, the nose and the mouth are, where present
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from mam_keras.data import file_names, some
from mam_keras.data.labels import Rows, StrictMeanings
from mam_keras.data.source import SPLITS, Data, Source, Split, Targets
from mam_keras.data.table import file_splits
from mam_keras.data.text_files import Mistakes, csv_rows, read_text
from mam_keras.errors import UserError
from mam_keras.settings import Text

_PARTITION = {str(number): name for number, name in enumerate(SPLITS)}


class Settings(Data):
    """The official raw layout of CelebA (Liu et al. 2015)."""

    TITLE: ClassVar[str] = "CelebA (Liu et al. 2015)"
    SHOWS: ClassVar[str] = "a photograph of a face"
    PLACES: ClassVar[tuple[str, ...]] = (*Data.PLACES, "directory")

    source: Literal["celeba"]
    directory: Text  # holds img_align_celeba/ and list_attr_celeba.txt (or .csv)

    @property
    def is_celeba(self):
        return True

    def landmarks(self, ids):
        return mean_landmarks(Path(self.directory), ids)


def load(settings: Settings) -> Source:
    """Reads the lists and finds the images; they are called by their file names.

    Images without labels are left out, and `notes` says so. A label whose image is missing stays: whoever reads the
    images finds out.

    Raises `UserError`, naming file and line, if a list is missing or malformed, lists disagree on which images there
    are, or none is in the folder.
    """
    directory = Path(settings.directory)
    folder = _image_folder(directory, "data.directory")
    path, attributes, rows = _attributes(directory, folder)
    partition_path, partition = _partition(directory)
    _expect_rows(path, rows.lines, partition_path, partition)
    _expect_rows(partition_path, {name: line for name, (line, _) in partition.items()}, path, rows.lines)
    assignment = np.array([partition[name][1] for name in rows.lines])
    names, groups = list(rows.lines), _groups(directory, path, rows.lines)
    splits = file_splits(folder, path, names, assignment, rows.labels(), groups=groups)
    held = os.listdir(folder)  # noqa: PTH208 (pathlib would make 200,000 paths)
    unlisted = sorted(name for name in held if name.lower().endswith(".jpg") and name not in rows.lines)
    notes = (f"{folder}: left out {len(unlisted)} images without a row in {path.name}: {some(unlisted)}",)
    return Source(Targets(tuple(attributes)), splits, notes if unlisted else ())


def load_undivided(directory: Path, key: str) -> tuple[Path, tuple[str, ...], Split]:
    """Of a folder in this layout but for the partition: where its images are, the attributes, all images.

    Raises `UserError` as `load` does; `key` is the setting that names the folder.
    """
    folder = _image_folder(directory, key)
    path, attributes, rows = _attributes(directory, folder)
    names = list(rows.lines)
    return (
        folder,
        tuple(attributes),
        file_splits(folder, path, names, np.full(len(names), "test"), rows.labels())["test"],
    )


def mean_landmarks(directory: Path, ids: np.ndarray) -> dict[str, tuple[float, float]]:
    """Where each landmark is on average over the images `ids`, (x, y) in pixels; nothing without the list.

    Raises `UserError` for a list that is malformed or knows one of the images not.
    """
    path = _find(directory, "list_landmarks_align_celeba")
    if path is None:
        return {}
    header_line, names, lines, _ = _list(path)
    points = [name.removesuffix("_x") for name in names[::2]]
    if [f"{point}_{axis}" for point in points for axis in "xy"] != names:
        raise UserError(
            f"{path}, line {header_line}: expected x and y of each landmark, lefteye_x lefteye_y and so on. "
            f"Received: {_text(names)}"
        )
    wanted, total = set(ids.tolist()), np.zeros(len(names))
    for line, (cell, *cells) in lines:
        if (name := cell.strip()) not in wanted:
            continue
        wanted.discard(name)
        try:
            numbers = np.array(cells, float)
        except ValueError:
            numbers = np.array([])
        if len(numbers) != len(names) or not np.isfinite(numbers).all():
            raise UserError(f"{path}, line {line}: expected {len(names)} numbers. Received: {_text(cells)}")
        total += numbers
    if wanted:
        raise UserError(f"{path}: expected a row for each image. Received: none for {some(sorted(wanted))}")
    return dict(zip(points, map(tuple, (total / len(ids)).reshape(-1, 2).tolist()), strict=True))


def _image_folder(directory: Path, key: str) -> Path:
    if not directory.is_dir():
        received = "a file" if directory.exists() else "no such folder"
        raise UserError(f"{directory}: expected the folder of CelebA ({key}). Received: {received}")
    folder = directory / "img_align_celeba"
    if not folder.is_dir():
        held = sorted(entry.name for entry in directory.iterdir())
        received = f"a folder with {some(held)}" if held else "an empty folder"
        raise UserError(f"{directory}: expected a folder img_align_celeba in it. Received: {received}")
    nested = folder / "img_align_celeba"
    return nested if nested.is_dir() else folder


def _list_file(directory: Path, name: str) -> Path:
    path = _find(directory, name)
    if path is None:
        raise UserError(f"{directory}: expected {name}.txt or {name}.csv in it. Received: neither is there")
    return path


def _find(directory: Path, name: str) -> Path | None:
    paths = (directory / f"{name}.txt", directory / f"{name}.csv")
    return next((path for path in paths if path.exists()), None)


def _text_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the lines that are not blank, divided at any white space."""
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if cells := text.split():
            yield line, cells


def _attributes(directory: Path, folder: Path) -> tuple[Path, list[str], Rows]:
    path = _list_file(directory, "list_attr_celeba")
    header_line, names, lines, count = _list(path)
    if not names:
        raise UserError(f"{path}, line {header_line}: expected the attributes' names. Received: none")
    rows = Rows(Mistakes(path), header_line, names, file_names.reader(folder), StrictMeanings())
    for line, (name, *cells) in lines:
        rows.add(line, name, cells)
    rows.check(np.arange(len(names)))
    if count is not None and count[1] != len(rows.lines):
        raise UserError(
            f"{path}, line {count[0]}: expected the number of images, {len(rows.lines)} rows. Received: {count[1]}"
        )
    return path, names, rows


def _list(path: Path) -> tuple[int, list[str], Iterator, tuple[int, int] | None]:
    """A list with columns: its header's line, their names, the rows beneath, and (line, number of images) of a text."""
    if path.suffix == ".csv":
        lines = csv_rows(path, ["image_id"])
        return *_header(path, lines, "image_id"), lines, None
    lines = _text_rows(path)
    count_line, first = next(lines, (1, []))
    if len(first) != 1 or not first[0].isdecimal():
        raise UserError(f"{path}, line {count_line}: expected the number of images. Received: {_text(first)}")
    return *next(lines, (count_line + 1, [])), lines, (count_line, int(first[0]))


def _header(path: Path, lines: Iterator, first: str) -> tuple[int, list[str]]:
    """Line and names of a CSV's header, less the first, which must be `first`."""
    line, header = next(lines, (1, []))
    if header[:1] != [first]:
        raise UserError(f"{path}, line {line}: expected a header that begins with {first}. Received: {_text(header)}")
    return line, header[1:]


def _partition(directory: Path) -> tuple[Path, dict[str, tuple[int, str]]]:
    """The partition's file, and image -> (line, split)."""
    path = _list_file(directory, "list_eval_partition")
    if path.suffix == ".csv":
        lines = csv_rows(path, ["image_id"])
        _header(path, lines, "image_id")
    else:
        lines = _text_rows(path)
    partition = {}
    for line, name, number in _pairs(path, lines, "0, 1 or 2"):
        if number not in _PARTITION:
            raise UserError(f"{path}, line {line}: expected 0, 1 or 2 for {name!r}. Received: {number!r}")
        if name in partition:
            raise UserError(f"{path}, line {line}: expected every image once. Received: {name!r} again")
        partition[name] = line, _PARTITION[number]
    return path, partition


def _groups(directory: Path, attributes_path: Path, lines: dict[str, int]) -> np.ndarray | None:
    """int (n,): the person in each image, or None without the list; it may name more images than there are."""
    path = directory / "identity_CelebA.txt"
    if not path.exists():
        return None
    people = {}
    for line, name, number in _pairs(path, _text_rows(path), "a person's number"):
        if not number.isdecimal():
            raise UserError(f"{path}, line {line}: expected a person's number for {name!r}. Received: {number!r}")
        if people.setdefault(name, int(number)) != int(number):
            raise UserError(
                f"{path}, line {line}: expected one person for {name!r}. Received: {number} after {people[name]}"
            )
    _expect_rows(attributes_path, lines, path, people)
    return np.array([people[name] for name in lines])


def _pairs(path: Path, lines: Iterator, value: str) -> Iterator[tuple[int, str, str]]:
    for line, cells in lines:
        if len(cells) != 2:
            raise UserError(f"{path}, line {line}: expected an image and {value}. Received: {_text(cells)}")
        yield line, *map(str.strip, cells)


def _expect_rows(path: Path, lines: dict[str, int], other: Path, known: dict) -> None:
    """Refuses the images of one list that another does not know."""
    if missing := [name for name in lines if name not in known]:
        raise UserError(
            f"{path}, line {lines[missing[0]]}: expected a row for each image in {other.name} too. "
            f"Received: none for {some(missing)}"
        )


def _text(cells: list[str]) -> str:
    return repr(" ".join(cells)[:60])
