"""What an analysis found, and the files that keep it. Knows neither models nor pages.

An analysis NAME leaves `NAME.json` (plain values, and what they were computed from) and, where it has arrays,
`NAME.npz`. The JSON is written last: without it, or where the two do not belong together, there is no result.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict
from typing_extensions import TypedDict

from mam_keras.errors import UserError
from mam_keras.files import read_arrays, read_json, replacing, write_record


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


class _Kept(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")
    key: dict[str, Any]
    arrays: list[str]
    values: dict[str, Any]


def write(folder: Path, name: str, key: dict, result: Result) -> None:
    """Keeps a result, with the key that says what it was computed from (plain values)."""
    text = json.dumps(key, sort_keys=True)
    if result.arrays:
        with replacing(folder / f"{name}.npz") as beside, beside.open("wb") as file:
            np.savez_compressed(file, **result.arrays, **{_KEY: np.array(text)})
    write_record(folder / f"{name}.json", {"key": key, "arrays": sorted(result.arrays), "values": result.values})


def read(folder: Path, name: str, key: dict) -> Result | None:
    """A kept result; None where there is none, where it is damaged, or where it was computed from something else.

    Args:
        key: what it must have been computed from, as far as that is known.
    """
    try:
        kept = read_json(folder / f"{name}.json", "a result", _Kept)
        if kept is None or kept["key"] != kept["key"] | json.loads(json.dumps(key)):
            return None
        arrays = {}
        if kept["arrays"]:
            found = read_arrays(folder / f"{name}.npz", "a result's arrays") or {}
            if str(found.pop(_KEY, None)) != json.dumps(kept["key"], sort_keys=True) or sorted(found) != kept["arrays"]:
                return None
            arrays = {array: found[array] for array in kept["arrays"]}
        return Result(kept["values"], arrays)
    except UserError:
        return None


_KEY = "computed_from"  # the key inside the npz
