"""Files that are there whole or not at all, and folders that one process holds at a time. Knows no content."""

import contextlib
import csv
import fcntl
import json
import os
import tempfile
from pathlib import Path

from mam_keras.errors import RunError, UserError

PARTIAL = ".partial-"  # how the name of a file begins that is still being written
MARK = "# Written by mam_keras, whose folder this is.\n"  # how the file begins that makes a folder ours


@contextlib.contextmanager
def held(folder, what, ours, make_ready):
    """A folder to work in, made where it is missing and held for this process alone until the context ends.

    Args:
        folder: its path.
        what: is worked on in it, for the messages: "run", "search", "study".
        ours: called when the folder is held: whether what it holds was left by work of this kind.
        make_ready: called when the folder is held, without what a killed process had begun to write.

    Raises `UserError` for a folder that holds something else, one that cannot be written, or one that another process
    is working in.
    """
    with contextlib.ExitStack() as lock:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(locked(folder, wait=False))
            if any(not entry.name.startswith(PARTIAL) for entry in folder.iterdir()) and not ours():
                raise UserError(
                    f"{folder}: expected the directory of a {what}, or none. Received: a folder that holds other things"
                )
            remove_partial(folder)
            make_ready()
        except BlockingIOError:
            raise UserError(
                f"{folder}: expected a {what} that nothing is working on. Received: another process holds it"
            ) from None
        except OSError as error:
            raise UserError(
                f"{folder}: expected a directory that can be written (--run). Received: {error.strerror}"
            ) from None
        yield


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

    Raises `RunError` naming `path` where writing fails, as on a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=PARTIAL, suffix=f"-{path.name}", dir=path.parent)
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


def write_csv(path, rows):
    """A list of dictionaries with the same keys."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
