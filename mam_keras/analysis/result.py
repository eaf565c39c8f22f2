"""What an analysis found, and the files that keep it. Knows neither models nor pages.

An analysis NAME leaves `NAME.json` (plain values, and what they were computed from) and, where it has arrays,
`NAME.npz`. The JSON is written last: without it, or where the two do not belong together, there is no result.
"""

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mam_keras.files import replacing, write_json


class Unavailable(Exception):  # noqa: N818 (an answer, not a failure)
    """An analysis that this run has no answer to, and why: one sentence, for the page."""


@dataclass(frozen=True)
class Result:
    """What one analysis found.

    Attributes:
        values: plain values that JSON can hold (undefined is None).
        arrays: named arrays, of numbers or texts.
    """

    values: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def unavailable(self) -> str | None:
        """Why there is no answer; None where there is one."""
        return self.values.get("unavailable")


def write(folder: Path, name: str, key: dict, result: Result) -> None:
    """Keeps a result, with the key that says what it was computed from (plain values)."""
    text = json.dumps(key, sort_keys=True)
    if result.arrays:
        with replacing(folder / f"{name}.npz") as beside, beside.open("wb") as file:
            np.savez_compressed(file, **result.arrays, **{_KEY: np.array(text)})
    write_json(folder / f"{name}.json", {"key": key, "arrays": sorted(result.arrays), "values": result.values})


def read(folder: Path, name: str, key: dict | None = None) -> Result | None:
    """A kept result; None where there is none, where it is damaged, or where it was computed from something else.

    Args:
        key: what it must have been computed from; None takes whatever there is.
    """
    try:
        kept = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if key is not None and kept["key"] != json.loads(json.dumps(key)):
            return None
        arrays = {}
        if kept["arrays"]:
            path = folder / f"{name}.npz"
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:  # numpy leaves a bad one open
                if str(file[_KEY]) != json.dumps(kept["key"], sort_keys=True):
                    return None
                arrays = {array: file[array] for array in kept["arrays"]}
        return Result(kept["values"], arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def digest(path: Path) -> str | None:
    """Of a file's content; None where there is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None


_KEY = "computed_from"  # the key inside the npz
