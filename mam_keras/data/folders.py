"""The user's own images in a folder for each class: exclusive classes. Opens no image.

DIR/train/CLASS/*, DIR/test/CLASS/*, DIR/validation/CLASS/*   as torchvision and Keras read them, or
DIR/CLASS/*                                                   without splits, which are drawn
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from mam_keras.data import attribute_positions, composed, some
from mam_keras.data.file_names import on_disk
from mam_keras.data.source import Data, Source, Targets
from mam_keras.data.table import SPLIT_NAMES, drawn, file_splits, one_hot, point, require_whole
from mam_keras.errors import UserError
from mam_keras.settings import Share, Text

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


class Settings(Data):
    """The user's own: a folder for each class, in a folder for each split or without."""

    TITLE: ClassVar[str] = "the user's own folders of images"
    PLACES: ClassVar[tuple[str, ...]] = (*Data.PLACES, "directory")

    source: Literal["folders"]
    directory: Text  # holds train/CLASS/* and so on, or CLASS/*
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of train, where splits are folders without validation
    shares: tuple[Share, Share, Share] = (0.8, 0.1, 0.1)  # train, validation, test, where splits are no folders

    def require_possible(self):
        super().require_possible()
        require_whole(self.shares)


def load(settings: Settings) -> Source:
    """Finds the images; they are called by their paths below `directory`, and their folders are the classes.

    Splits are folders where there is a folder train that holds folders; they may be called as in a table
    (`SPLIT_NAMES`). Where there is no folder of validation, `validation_share` of train is drawn for it; without any
    split's folder all are drawn by `shares`, both by a hash of the path, so that an image stays where it is when others
    are added. Classes are in the order of the alphabet, or as `settings.attributes` chooses them. Folders of a class
    are searched to any depth. Hidden files, files that are no images by their suffix, and what lies beside the folders
    are left out, and `notes` says so.

    Images are in the order of that hash, so that the first ones (`limit`) are of all classes.

    Raises `UserError` for a folder that is not there or cannot be read, two folders of one split, splits with different
    classes, names that are not UTF-8, and where there is no image.
    """
    directory = Path(settings.directory)
    left_out = []
    places, classes = _classes(directory, left_out)
    chosen = [classes[position] for position in attribute_positions(settings.attributes, classes)]
    split_of, class_of = {}, {}
    for place, split in places.items():
        for number, name in enumerate(chosen):
            for file in _images(directory, f"{place}{name}", left_out):
                split_of[file], class_of[file] = split, number
    names, notes = sorted(split_of, key=point), []
    if None in places.values():
        split_of = {name: drawn(name, settings.shares) for name in names}
    elif "validation" not in places.values() and (share := settings.validation_share):
        taken = [name for name in names if split_of[name] == "train" and drawn(name, (1 - share, share)) != "train"]
        split_of |= dict.fromkeys(taken, "validation")
        notes.append(f"{directory}: no folder of validation, so that {len(taken)} images of train were drawn for it")
    if not names:
        raise UserError(
            f"{directory}: expected images ({', '.join(SUFFIXES)}) in a folder for each class. Received: none"
        )
    if left_out:
        notes.append(f"{directory}: left out {len(left_out)} files and folders that are no images: {some(left_out)}")
    labels = one_hot(np.array([class_of[name] for name in names]), len(chosen))
    splits = file_splits(directory, directory, names, np.array([split_of[name] for name in names]), labels)
    return Source(Targets(tuple(chosen), exclusive=True), splits, tuple(notes))


def _classes(directory: Path, left_out: list[str]) -> tuple[dict[str, str | None], list[str]]:
    """{folder that holds classes, as a prefix of paths: its split, or None where there are no splits}, and the classes.

    Adds what lies beside the folders to `left_out`.
    """
    folders = _folders(directory, "", [])
    named = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    train = next((name for name, split in named.items() if split == "train"), None)
    if train is None or not _folders(directory, train, []):
        return {"": None}, _folders(directory, "", left_out)
    _folders(directory, "", left_out)
    left_out += [name for name in folders if name not in named]
    places, classes = {}, _folders(directory, train, [])
    for name, split in named.items():
        found = _folders(directory, name, left_out)
        if not found:  # a test split without classes, as competitions have it
            left_out.append(name)
            continue
        if split in places.values():
            twins = [other for other in named if named[other] == split]
            raise UserError(f"{directory}: expected one folder of each split. Received: {some(twins)}")
        if different := sorted(set(map(composed, found)) ^ set(map(composed, classes))):
            raise UserError(
                f"{directory}: expected the same classes in {name} as in {train}. Received: only in one: "
                f"{some(different)}"
            )
        places[f"{name}/"] = split
    return places, classes


def _folders(directory: Path, place: str, left_out: list[str]) -> list[str]:
    """The folders in a place that are not hidden, by name; adds all else to `left_out`."""
    try:
        entries = sorted((directory / place).iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{directory / place}: expected a folder with a folder for each class (data.directory). "
            f"Received: {error.strerror}"
        ) from None
    kept = {entry: not _hidden(entry.name) and entry.is_dir() for entry in entries}
    left_out += [str(Path(place, entry.name)) for entry, is_folder in kept.items() if not is_folder]
    return [_utf8(directory, entry.name) for entry, is_folder in kept.items() if is_folder]


def _images(directory: Path, place: str, left_out: list[str]) -> Iterator[str]:
    """The images below a folder, as paths below `directory`; adds all else to `left_out`."""

    def refuse(error):
        raise UserError(f"{error.filename}: expected a readable folder. Received: {error.strerror}")

    (start,) = on_disk(directory, [place])  # splits may spell a class in different forms of Unicode
    for folder, folders, files in os.walk(start, onerror=refuse):
        below = Path(folder).relative_to(directory).as_posix()
        left_out += [f"{below}/{name}" for name in folders if _hidden(name)]
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(files):
            path = _utf8(directory, f"{below}/{name}")
            if not _hidden(name) and name.lower().endswith(SUFFIXES):
                yield path
            else:
                left_out.append(path)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _utf8(directory: Path, path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{directory}: expected names in UTF-8. Received: {path.encode(errors='replace')}") from None
    return path
