"""`Classifier` on files: a JSON for all of them and, for each, its maps over the picture as PNG."""

import re
import sys
from pathlib import Path

from tqdm import tqdm

from mam_keras.errors import UserError
from mam_keras.explain.classifier import BATCH, Classifier
from mam_keras.files import replacing, write_json

_SHOWN = 5  # answers of an image in its line
_LONGEST = 50  # characters of a name that are a file's name; file systems take 255 bytes


def run(directory, images, out, targets=None):
    """Explains image files by a finished run and writes `out`:

        explanations.json    {"run": path, "targets": K names, "exclusive": bool, "maps": `Classifier.maps`, "images":
                             [{"image": path, "probabilities": {TARGET: number}, "answers": targets answered "yes",
                               "heads": {HEAD: {TARGET: number}}, "pictures": {MAP: {TARGET: file}}}]}
        IMAGE/MAP.TARGET.png    a map over the picture; IMAGE/MAP.png where one map serves all targets

    Pictures are of `targets`, of every one where these are ["all"]; where they are None, of those answered "yes", or of
    the most probable one.

    Raises `UserError` for a target that the network does not answer and, once everything else is written, where an
    image cannot be read.
    """
    classifier, out = Classifier(directory.path), Path(out)
    chosen = targets and (list(classifier.targets) if targets == ["all"] else classifier.known(targets))
    images, described, left_out, folders = list(dict.fromkeys(images)), [], [], _Names()
    with tqdm(total=len(images), desc="Explaining", unit=" images", disable=None, leave=False) as progress:
        for start in range(0, len(images), BATCH):
            pictures = {}
            for path in images[start : start + BATCH]:
                try:
                    pictures[path] = classifier.prepare(path)
                except UserError as error:
                    left_out.append(str(error))
            for found in classifier.look(pictures.values(), list(pictures)) if pictures else ():
                folder = folders.unique(Path(found.name).stem)
                shown = chosen or list(found.answered) or [found.targets[int(found.probabilities.argmax())]]
                described.append(_described(found) | {"pictures": _draw(found, shown, out, folder)})
                progress.write(f"{found.name}: {_line(found)}", file=sys.stdout)
            progress.update(len(images[start : start + BATCH]))
    if not described:
        raise UserError(left_out[0])
    about = {"run": str(directory.path), "targets": list(classifier.targets), "exclusive": classifier.exclusive}
    write_json(out / "explanations.json", about | {"maps": classifier.maps, "images": described})
    print(f"Written: {out / 'explanations.json'}, and the pictures beside it")
    for why in left_out[1:]:
        print(f"note: left out: {why}", file=sys.stderr)
    if left_out:
        raise UserError(left_out[0] + (f" ({len(left_out)} of {len(images)} left out)" if len(images) > 1 else ""))


def _described(found):
    def named(values):
        return {target: float(value) for target, value in zip(found.targets, values, strict=True)}

    return {
        "image": found.name,
        "probabilities": named(found.probabilities),
        "answers": list(found.answered),
        "heads": {head: named(values) for head, values in found.heads.items()},
    }


def _draw(found, targets, out, folder):
    """Writes the pictures; {map: {target: file below `out`}}."""
    files: dict[str, dict[str, str]] = {}
    for name, values in found.maps.items():
        names, serves_all = _Names(), values.shape[-1] == 1
        files[name] = {}
        for target in targets[:1] if serves_all else targets:
            file = f"{folder}/{name}.png" if serves_all else f"{folder}/{name}.{names.unique(target)}.png"
            with replacing(out / file) as beside:
                found.overlay(target, name).save(beside, "png")
            files[name] |= dict.fromkeys(targets, file) if serves_all else {target: file}
    return files


def _line(found):
    share = dict(zip(found.targets, found.probabilities, strict=True))
    said = [f"{name} {share[name]:.2f}" for name in found.answered]
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return ", ".join(said[:_SHOWN]) + more if said else "none of the targets"


class _Names:
    """Names for files, of any texts: what might lead elsewhere becomes `_`, and what is taken gets a number."""

    def __init__(self):
        self._taken = set()

    def unique(self, text):
        base = re.sub(r"[^\w-]+", "_", text.encode(errors="replace").decode()).strip("_")[:_LONGEST] or "image"
        name, number = base, 2
        while name.casefold() in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name.casefold())
        return name
