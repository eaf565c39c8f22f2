"""The folder of versions that TF Serving watches: a version is there whole, or not at all.

TF Serving takes every entry whose name is a whole number for a version. So a version is written under another name,
brought to the disk, and renamed. Knows nothing of what is in it.
"""

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from mam_keras.errors import UserError
from mam_keras.files import PARTIAL, locked, naming_full_disk

HIGHEST = 2**63 - 1  # TF Serving reads a version as int64, and overlooks what is beyond it


@contextlib.contextmanager
def next_version(base):
    """A new folder in `base` to write to; on leaving it becomes the next version, after an error it is removed.

    What a killed process left behind is removed first. Yields the folder, and the path that it will have.

    Raises `UserError` where `base` cannot be written, another process is exporting to it, or no number is left, and
    `RunError` where the disk is full.
    """
    base = Path(base)
    with contextlib.ExitStack() as held:
        try:
            base.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(base, wait=False))
            for abandoned in base.glob(f"{PARTIAL}*"):
                shutil.rmtree(abandoned)
            partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=base))
        except BlockingIOError:
            raise UserError(
                f"{base}: expected a folder that nothing is exporting to. Received: another process holds it"
            ) from None
        except OSError as error:
            raise UserError(
                f"{base}: expected a folder that can be written (--out). Received: {error.strerror}"
            ) from None
        held.callback(shutil.rmtree, partial, ignore_errors=True)
        numbers = [int(entry.name) for entry in base.iterdir() if re.fullmatch("[0-9]+", entry.name)]
        newest = max((number for number in numbers if number <= HIGHEST), default=0)
        if newest == HIGHEST:
            raise UserError(
                f"{base}: expected versions below {HIGHEST}, so that there is a next one. Received: {newest}"
            )
        version = base / str(newest + 1)
        with naming_full_disk(version):
            yield partial, version
            partial.chmod(0o755)
            for entry in (*partial.rglob("*"), partial):
                _to_disk(entry)
            partial.rename(version)
            _to_disk(base)


def _to_disk(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
