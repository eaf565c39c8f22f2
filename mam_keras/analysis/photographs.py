"""What does a network look at in the user's own photographs? As `examples`, without labels.

Whatever else lies in their folder is left out by name, and never fatal while one photograph remains.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mam_keras.analysis import examples, likeness
from mam_keras.analysis.result import Result
from mam_keras.errors import UserError
from mam_keras.files import digest

NEEDS = {"maps"}
VERSION = 6
MOST = 24  # photographs, the first ones by name
MAX_BYTES = 2**25  # of one file
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")  # of `formats.FORMATS`


@dataclass(frozen=True)
class Folder:
    """A folder of photographs, of which no more than the first bytes have been read.

    Attributes:
        path: of the folder.
        files: what may be photographs, at most `MOST`, by name.
        left_out: (name, why) of everything else.
    """

    path: Path
    files: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """Of the files' names and content."""
        content = "".join(f"{file.name!r}: {digest(file)}\n" for file in self.files)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def folder(path) -> Folder:
    """Looks at what lies in a folder; subfolders are not entered, links to files are followed.

    Raises `UserError` where there is no such folder, or nothing in it begins as an image does.
    """
    path = Path(path)
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise UserError(f"--images {path}: expected a folder of photographs. Received: {error.strerror}") from None
    files, left_out = [], []
    for entry in entries:
        why = _unfit(entry)
        if why is None and len(files) == MOST:
            why = f"only the first {MOST} are shown"
        if why is None:
            files.append(entry)
        else:
            left_out.append((_shown(entry), why))
    if not files:
        raise UserError(f"--images {path}: expected photographs (JPEG, PNG, GIF, BMP or WebP). {_received(left_out)}")
    return Folder(path, tuple(files), tuple(left_out))


def settings(config):
    """The answer depends on the pairs shown."""
    return {"pairs": [list(pair) for pair in config.analysis.pairs]}


def compute(run, split, photographs):
    """`examples.look` at a `Folder`, each photograph prepared as everywhere; whatever the split.

    Returns:
        The `Result` of `look`, and beside it `left_out` ((name, why) of what is not shown), `likeness` (what
        `likeness.unlike` says of its rule), `unlike` bool (N,), those unlike the images that it was trained for, and
        `ids` str (N,), the files' names.

    Raises `UserError` where nothing can be read.
    """
    from mam_keras.data.given import from_file

    names, pictures, left_out = [], [], list(photographs.left_out)
    for file in photographs.files:
        try:
            pictures.append(from_file(file, run.config.data.image_size, run.config.data.fit))
            names.append(_shown(file))
        except ValueError as why:
            left_out.append((_shown(file), str(why)))
    if not pictures:
        raise UserError(f"--images {photographs.path}: expected photographs. {_received(left_out)}")
    pictures = np.stack(pictures)
    found, (unlike, told) = examples.look(run, pictures), likeness.unlike(run, split, pictures)
    arrays = {"ids": np.array(names), "unlike": unlike}
    return Result(found.values | {"left_out": left_out, "likeness": told}, found.arrays | arrays)


def by_reason(left_out):
    """{why: the names} of what was left out, each reason once."""
    reasons = {}
    for name, why in left_out:
        reasons.setdefault(why, []).append(name)
    return reasons


def _unfit(file):
    """Why a file is no photograph, as far as its first bytes tell; None where it may be one."""
    try:
        if not file.is_file():
            return "a folder" if file.is_dir() else "not a file"
        if file.stat().st_size > MAX_BYTES:
            return f"larger than {MAX_BYTES >> 20} MiB"
        with file.open("rb") as opened:
            return None if opened.read(8).startswith(_BEGINNINGS) else "not a JPEG, PNG, GIF, BMP or WebP"
    except OSError as error:
        return error.strerror


def _shown(file):
    """A file's name as text: without line breaks, and without bytes that are no UTF-8."""
    return " ".join(file.name.encode(errors="replace").decode().split())


def _received(left_out):
    """What lies in a folder that holds no photograph."""
    if not left_out:
        return "Received: an empty folder"
    first = "; ".join(f"{name} ({why})" for name, why in left_out[:3])
    return f"Received: {first}" + (f" and {len(left_out) - 3} more" if len(left_out) > 3 else "")
