"""Names of image files as people write them, and the files that they mean: always below one folder. Opens no image."""

import contextlib
import glob
import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mam_keras.data import composed

_UPWARDS = re.compile(r"\0|(^|/)\.\.(/|$)")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")


def check_template(text: str) -> None:
    """Raises `ValueError` unless `text` makes a path below a folder of any name, as 'images/{}.jpg' does."""
    braces = text.count("{}") == 1 and text.count("{") == text.count("}") == 1
    if not braces or "\\" in text or _ABSOLUTE.match(text) or _UPWARDS.search(text):
        raise ValueError(
            "data.image_template: expected a relative path with {} once, '/' and without '..', such as images/{}.jpg. "
            f"Received: {text!r}"
        )


def reader(folder: Path, template: str = "{}") -> Callable[[str], str]:
    r"""name -> path below `folder`, put into the `template`, with `/`, without `.` and doubled `/`.

    A Windows path's `\` is `/`, unless a file has it in its name. A path that is absolute has to lead into the folder.
    The function raises `ValueError`, which says what was expected, for a path that leaves the folder.
    """
    bases = [f"{os.path.abspath(folder)}/", f"{os.path.realpath(folder)}/"]  # noqa: PTH100 (of no file, perhaps)

    def read(name: str) -> str:
        if name := name.strip():
            name = template.replace("{}", name)
        if "\\" in name and not os.path.lexists(f"{folder}/{name}"):
            name = name.replace("\\", "/")
        if not name or _UPWARDS.search(name):
            raise ValueError("expected an image's path, relative, with '/' and without '..'")
        name = posixpath.normpath(name)
        if _ABSOLUTE.match(name):
            base = next((base for base in bases if name.startswith(base)), None)
            if base is None:
                raise ValueError(f"expected an image's path inside {folder}, or another data.directory")
            name = name.removeprefix(base)
        return name

    return read


def on_disk(folder: Path, names: list[str]) -> list[str]:
    """The files of names below a folder, whatever Unicode form (a letter and its accent) they have there."""
    entries = {}  # of each folder that was looked into: composed name -> name

    def spelt(name):
        found = str(folder)
        for part in name.split("/"):
            if found not in entries:
                entries[found] = {}
                with contextlib.suppress(OSError):  # no folder: then it is not there
                    for entry in os.listdir(found):  # noqa: PTH208 (texts, not paths)
                        entries[found][composed(entry)] = entry
            found = f"{found}/{entries[found].get(composed(part), part)}"
        return found

    files = [f"{folder}/{name}" for name in names]
    return [
        file if name.isascii() or os.path.lexists(file) else spelt(name)
        for file, name in zip(files, names, strict=True)
    ]


def template_for(folder: Path, name: str) -> str | None:
    """The template with which a name that is not there would be: its suffix, and perhaps a folder, are missing.

    None where there is no such file, and for names that lead elsewhere.
    """
    if _ABSOLUTE.match(name) or _UPWARDS.search(name):
        return None
    for pattern in (f"{glob.escape(name)}.*", f"*/{glob.escape(name)}", f"*/{glob.escape(name)}.*"):
        for path in sorted(folder.glob(pattern)):
            place = f"{path.relative_to(folder).parts[0]}/" if pattern.startswith("*") else ""
            return f"{place}{{}}{path.relative_to(folder).as_posix()[len(place + name) :]}"
    return None
