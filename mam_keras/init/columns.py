"""What the columns of a stranger's table are: which one names the images, and what the others say about them.

Only guesses, and every one is written where it can be put right. Opens no image.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mam_keras.data import some
from mam_keras.data.file_names import reader, template_for
from mam_keras.data.labels import TEXT, Meanings, is_unknown
from mam_keras.data.table import SPLIT_NAMES
from mam_keras.data.text_files import csv_rows
from mam_keras.errors import UserError

LOOKED_AT = 40  # names of a column, to see whether they are images
MOST_CLASSES = 1000
_IMAGE = re.compile(r"image|img|file|path|photo|picture", re.IGNORECASE)
_CLASS = re.compile(r"^(label|class|category|target|species|type|diagnosis|kind|y)(_?name)?$", re.IGNORECASE)
_CLASSES = re.compile(r"class|label|categor|target|species|breed|type|kind|diagnos", re.IGNORECASE)
_GROUP = re.compile(
    r"person|people|subject|patient|sender|user|owner|identity|group|individual|author|photographer|donor|animal|video|scene",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Columns:
    """Settings of `data.table` by key, and what else was seen.

    Attributes:
        settings: `image_column`, and those of `image_template`, `directory`, `class_column`, `split_column`,
            `group_column` that were found.
        labels: columns of yes and no.
        classes: further columns that could be classes.
        notes: what the file's reader has to say.
    """

    settings: dict[str, str]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def guess(path: Path) -> Columns:
    """Looks at all rows of a CSV. Raises `UserError` where no column names image files, or none says anything."""
    notes: list[str] = []
    rows = [cells for _, cells in csv_rows(path, (), notes)]
    header = rows[0] if rows else []
    table = [cells for cells in rows[1:] if len(cells) == len(header)]
    if not table:
        raise UserError(f"{path}: expected a header and a row for each image. Received: {len(rows)} rows")
    columns = {name: [cells[at].strip() for cells in table] for at, name in enumerate(header) if name}
    found = _image_column(path, columns)
    read = reader(Path(found.get("directory", path.parent)), found.get("image_template", "{}"))
    if _is_there(Path(found.get("directory", path.parent)), read, found["image_column"]):
        raise UserError(f"{path}, line 1: expected a header, names of columns. Received: {some(header)}")
    others = {name: cells for name, cells in columns.items() if name != found["image_column"]}
    split = next((name for name, cells in others.items() if _is_split(cells)), None)
    group = next((name for name, cells in others.items() if name != split and _is_group(name, cells)), None)
    found |= {key: name for key, name in (("split_column", split), ("group_column", group)) if name is not None}
    others = {name: cells for name, cells in others.items() if name not in (split, group)}
    labels = [name for name, cells in others.items() if _are_labels(cells)]
    ranks = {name: _rank(name, cells) for name, cells in others.items() if name not in labels and _are_classes(cells)}
    classes = sorted(ranks, key=ranks.get)
    if classes and (not labels or ranks[classes[0]] == 0 or (ranks[classes[0]] == 1 and len(labels) < 3)):
        found["class_column"] = classes.pop(0)
    elif not labels:
        reasons = [f"{name!r}, {_no_target(cells)}" for name, cells in others.items()]
        raise UserError(
            f"{path}: expected a column of classes (two or more, several images of each) or of yes and no, beside "
            f"{found['image_column']!r}. Received: {some(reasons) or 'no other column'}"
        )
    return Columns(found, tuple(labels), tuple(classes), tuple(notes))


def _image_column(path, columns):
    """`image_column` and, where need be, `image_template` and `directory`: the column with most names of files.

    `image_template` is there where names lack a folder or a suffix, `directory` where they are below another folder
    than the table's: the one above, or what absolute paths have in common.
    """
    best, found = 0.5, {}
    for name in sorted(columns, key=lambda name: not _IMAGE.search(name)):
        texts = list(dict.fromkeys(filter(None, columns[name])))
        if len(texts) < len(columns[name]) / 2:  # every image is there once
            continue
        texts = texts[:LOOKED_AT]
        for folder in _folders(path, texts):
            template = "{}" if any(_is_there(folder, reader(folder), text) for text in texts) else None
            template = template or next(filter(None, (template_for(folder, text) for text in texts[:3])), None)
            if template is None:
                continue
            read = reader(folder, template)
            share = sum(_is_there(folder, read, text) for text in texts) / len(texts)
            if share > best:
                best, found = share, {"image_column": name}
                found |= {"image_template": template} if template != "{}" else {}
                found |= {"directory": str(folder)} if folder != path.parent else {}
    if not found:
        raise UserError(
            f"{path}: expected a column that names image files below {path.parent}. Received: {some(list(columns))}"
        )
    return found


def _folders(path, texts):
    """Where the names in a table may be below."""
    folders = [path.parent, path.parent.parent]
    if all(map(os.path.isabs, texts)):
        folders.insert(0, Path(os.path.commonpath([Path(text).parent for text in texts])))
    return dict.fromkeys(folders)


def _is_there(folder, read, text):
    try:
        return (folder / read(text)).is_file()
    except (ValueError, OSError):
        return False


def _is_split(cells):
    return all(cell.lower() in SPLIT_NAMES for cell in cells) and len(set(cells)) > 1


def _is_group(name, cells):
    """Who is in the picture, by the column's name; the same one in several pictures."""
    named = _GROUP.search(name) or re.search(r"(?:^|[_ ])id$", name, re.IGNORECASE)
    return bool(named) and not _CLASSES.search(name) and all(cells) and 2 <= len(set(cells)) <= len(cells) / 1.2


def _are_labels(cells):
    """As `labels.Rows.texts` sees it."""
    meanings, known = Meanings(), [cell for cell in cells if not is_unknown(cell)]
    return bool(known) and 2 * sum(meanings[cell] == TEXT for cell in known) <= len(known)


def _are_classes(cells):
    counts = Counter(cell for cell in cells if not is_unknown(cell))
    return 2 <= len(counts) <= min(MOST_CLASSES, sum(counts.values()) / 2)


def _no_target(cells):
    """Why cells say nothing that can be learnt, where they are neither labels nor classes."""
    counts = Counter(cell for cell in cells if not is_unknown(cell))
    if not counts:
        return "of which no cell is known"
    if len(counts) == 1:
        return f"which is {next(iter(counts))!r} alone: add images of another class, or a column of yes and no"
    return f"with {len(counts)} different texts in {sum(counts.values())} cells"


def _rank(name, cells):
    """How likely classes are: 0 by the column's name, 1 of texts, 2 of numbers, which may be anything else."""
    if _CLASS.search(name):
        return 0
    return 2 if all(re.fullmatch(r"[-+]?[\d.,]+", cell) for cell in cells if cell) else 1
