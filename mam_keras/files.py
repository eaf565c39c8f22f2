"""Files that are there whole or not at all, are read whole or refused, and folders that one process holds at a time.

Knows no content.
"""

import contextlib
import csv
import errno
import fcntl
import hashlib
import io
import json
import math
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from mam_keras.errors import RunError, UserError

PARTIAL = ".partial-"  # how the name of a file begins that is still being written
EXPANDED = 20  # times its own size is the most that an archive of arrays may hold, beyond the first 256 MB
MARK = "# Written by mam_keras, whose folder this is.\n"  # how the file begins that makes a folder ours


@contextlib.contextmanager
def held(folder, what, ours, check):
    """A folder to work in, made where it is missing and held for this process alone until the context ends.

    Where nothing was put into it until then, a folder that was made is removed.

    Args:
        folder: its path.
        what: is worked on in it, for the messages: "run", "search", "study".
        ours: called when the folder is held: whether what it holds was left by work of this kind.
        check: called when the folder is held, without what a killed process had begun to write; whatever it raises is
            why nobody may work there.

    Raises `UserError` for a folder that holds something else, one that cannot be written, or one that another process
    is working in.
    """
    with contextlib.ExitStack() as lock:
        try:
            made = [one for one in (folder, *folder.parents) if not one.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            for one in reversed(made):
                lock.callback(_remove_empty, one)
            lock.enter_context(locked(folder, wait=False))
            if any(not entry.name.startswith(PARTIAL) for entry in folder.iterdir()) and not ours():
                raise UserError(
                    f"{folder}: expected the directory of a {what}, or none. Received: a folder that holds other things"
                )
            remove_partial(folder)
            tempfile.TemporaryFile(dir=folder).close()  # that it cannot be written is known before long work
            check()
        except BlockingIOError:
            raise UserError(
                f"{folder}: expected a {what} that nothing is working on. Received: another process holds it"
            ) from None
        except OSError as error:
            raise UserError(
                f"{folder}: expected a directory that can be written (--run). Received: {error.strerror}"
            ) from None
        yield


def _remove_empty(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def locked(folder, wait):
    """Holds a folder for this process alone; the system lets go of it when the process dies.

    Raises `BlockingIOError` where another process holds it, unless `wait`.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing(path):
    """A path beside `path` to write to; on leaving it takes the place of `path`, after an error it is removed.

    Raises `UserError` naming its folder where nothing can be written there, as on a read-only disk, and `RunError`
    naming `path` where writing fails, as on a full one.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=PARTIAL, suffix=f"-{path.name}", dir=path.parent)
    except OSError as error:
        raise UserError(f"{path.parent}: expected a folder that can be written. Received: {error.strerror}") from None
    os.close(handle)
    beside = Path(beside)
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}; what was there before stays") from None
    finally:
        beside.unlink(missing_ok=True)


def full_disk(error) -> str | None:
    """What the system says in an error, of any library, that comes of a full disk; None in any other."""
    said = map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    return next((one for one in said if one in str(error)), None)


@contextlib.contextmanager
def naming_full_disk(path):
    """Turns an error that comes of a full disk, TensorFlow's too, into one line about `path` (`RunError`)."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        if (said := full_disk(error)) is None:
            raise
        raise RunError(f"{path}: cannot be written: {said}; what was there before stays") from None


def unwritable(folder) -> str | None:
    """Why no file can be made in a folder; None where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror


def remove_partial(folder):
    """Removes what a killed process had begun to write; for whoever holds the folder."""
    for file in folder.glob(f"{PARTIAL}*"):
        file.unlink()


def write_text(path, text):
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_mark(path, text):
    """The file that says that its folder is ours, YAML of any text."""
    write_text(path, MARK + text)


def marked(path) -> bool:
    """Whether `write_mark` wrote a file; a file of the user's of the same name says nothing."""
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False


def write_json(path, values):
    write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def record(values) -> str:
    """The JSON of a mapping that `read_json` reads again, its digest the last entry, so that no damage passes."""
    return json.dumps(values | {"digest": digest_of(json.dumps(values))}, indent=1, allow_nan=False) + "\n"


def write_record(path, values):
    write_text(path, record(values))


def write_csv(path, rows):
    """A list of dictionaries with the same keys."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def digest(path: Path) -> str | None:
    """Of a file's content; None where there is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None


def digest_of(text: str) -> str:
    """What `digest` gives for a file of this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def expecting(path, what):
    """Whatever goes wrong in reading `path` is a `UserError`: "path: expected what. Received: ...", one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # flipped bits raise a dozen kinds out of zipfile, zlib, JSON and NumPy
        raise UserError(f"{path}: expected {what}. Received: {_reason(error)}") from None


def read_json(path: Path, what: str, form: Any) -> Any:
    """What a JSON file holds, checked, without the digest of a `record`; None where there is no file.

    Args:
        what: it is expected to be, for the message, as "the evaluation of a finished run".
        form: the type of its content, whatever pydantic takes, as a `typing.TypedDict`.

    Raises `UserError` for any other content, and for a file that cannot be read.
    """
    if not path.exists():
        return None
    with expecting(path, what):
        return checked_json(path.read_bytes(), form)


def checked_json(content: bytes, form: Any) -> Any:
    """`read_json` of bytes; raises `ValueError`, and `RecursionError` where it is nested too deep."""
    values = json.loads(content)
    values = _without_digest(values) if isinstance(values, dict) else values
    # As JSON again, in which keys are texts and a dataclass is a mapping
    return pydantic.TypeAdapter(form).validate_json(json.dumps(values), strict=True)


def _without_digest(values):
    """Of a `record`; its name or its length alone tells it, for bits of it may be flipped, too."""
    name, last = next(reversed(values.items()), ("", ""))
    if name == "digest" or (isinstance(last, str) and len(last) == 16):
        if (name, last) != ("digest", digest_of(json.dumps({key: values[key] for key in list(values)[:-1]}))):
            raise ValueError("other values than its digest is of")
        del values[name]
    return values


def read_arrays(path: Path, what: str, content: bytes | None = None) -> dict[str, np.ndarray] | None:
    """{name: array} of an .npz file; None where there is no file.

    All of it is read and its check sums are compared before an array counts as missing or NumPy believes a header, and
    an array takes no more memory than its header and the archive's directory agree on.

    Args:
        what: it is expected to be, for the message, as "the predictions of a finished run".
        content: the file's bytes where they have been read already.

    Raises `UserError` for any other content, and for a file that cannot be read.
    """
    if content is None and not path.exists():
        return None
    with expecting(path, what):
        content = path.read_bytes() if content is None else content
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            names = file.namelist()
            count = int.from_bytes(content[-12:-10], "little")  # the archive's own, which zipfile does not look at
            if len(set(names)) != count:
                raise ValueError(f"{len(set(names))} of {count} arrays")
            size = sum(entry.file_size for entry in file.infolist())
            if size > 2**28 + EXPANDED * len(content):
                raise ValueError(f"{size:,} bytes of arrays in {len(content):,} bytes")
            return {name.removesuffix(".npy"): _array(file.read(name)) for name in names}


def _array(content):
    stream = io.BytesIO(content)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read_header[np.lib.format.read_magic(stream)](stream)
    left = len(content) - stream.tell()
    if not dtype.hasobject and math.prod(shape) * max(dtype.itemsize, 1) != left:
        raise ValueError(f"{left} bytes of an array {shape} of {dtype}")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def read_csv(path: Path, what: str) -> list[dict[str, str]] | None:
    """The rows of a CSV file of UTF-8, all of the same columns, under a header; None where there is no file.

    Raises `UserError` for any other content, and for a file that cannot be read.
    """
    if not path.exists():
        return None
    with expecting(path, what), path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        names = next(reader, [])
        if not names or len(set(names)) < len(names):
            raise ValueError("no header" if not names else f"columns {', '.join(names)}")
        rows = []
        for row in reader:
            if len(row) != len(names):
                raise ValueError(f"{len(row)} of {len(names)} columns in line {reader.line_num}")
            rows.append(dict(zip(names, row, strict=True)))
        return rows


def _reason(error):
    """One line, also where pydantic gives a report and an error of the system no text."""
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            return f"no {place}"
        return f"{place}{': ' if place else ''}{first['msg']}, not {first['input']!r:.60}"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text.splitlines()[0]
