"""What to begin with, from what was seen, each with its reason: a first run of minutes, and nothing that is final."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mam_keras.data import some
from mam_keras.init.seen import Seen, few

RARE = 10  # images; with fewer, some split has one or none
PASSES = 60_000  # images that a first run looks at, again and again: minutes on two cores
MOST_EPOCHS = 100  # beyond them few images are only learnt by heart
PER_SECOND = 350  # images of 64x64 pixels that two cores train on, with the network suggested here
_NO_CLASS = {"not sure", "unsure", "skip", "unknown", "other", "others", "none", "undefined", "unlabeled", "unlabelled"}
_NO_CLASS |= {"misc", "miscellaneous", "n/a", "no label", "tbd"}
_ANY_FILE = {"images", "image", "labels", "label", "data", "train", "annotations", "metadata", "list", "dataset"}


class Setting(NamedTuple):
    """One line of the configuration: `section.key` (the key alone at the top), its value, and why."""

    key: str
    value: Any
    why: str = ""


def suggest(seen: Seen, path: str | Path) -> list[Setting]:
    """Settings for a first run, in the order of the file."""
    settings = [Setting("name", _name(Path(path)), "runs/NAME and reports/NAME"), Setting("seed", 1)]
    settings += _reading(seen)
    settings += _images(seen)
    settings += [
        Setting("model.system", "masked", "or attention_branch, shareable, plain: what they are, says the README"),
        Setting("model.channels", 32, "64 or 128 for more data"),
        Setting(
            "model.backbone",
            {"kind": "dilation", "front_end": [24, 32], "dilations": [1, 2, 1]},
            "features of a quarter of the image's side, from which maps can be placed",
        ),
        Setting("model.reconstructor", False, "no gain at this size"),
    ]
    return settings + _training(seen)


def kept(seen: Seen) -> tuple[list[str], list[str], list[str]]:
    """Of exclusive classes those to begin with, the rare ones, and those whose names say that they are none."""
    counts = seen.counts
    none = [name for name in counts if name.casefold() in _NO_CLASS]
    rare = [name for name in few(counts, RARE) if name not in none]
    chosen = [name for name in counts if name not in none and name not in rare]
    return (chosen, rare, none) if len(chosen) > 1 else (list(counts), [], [])


def minutes(seen: Seen) -> str:
    """How long two cores take for the suggested run, roughly: "1 minute", "2 minutes"."""
    side, epochs = _side(seen), _epochs(seen)
    number = max(1, round(epochs * _train(seen) / (PER_SECOND * (64 / side) ** 2) / 60))
    return f"{number} minute{'s' if number > 1 else ''}"


def _name(path):
    path = path.resolve()
    stem = path.parent.name if path.is_file() and path.stem.casefold() in _ANY_FILE else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-") or "own"


def _reading(seen):
    """How the data are read."""
    reasons = {
        "image_template": "what a cell becomes to be a file's path",
        "class_column": "exactly one class for each image; without it, an attribute for each column of yes and no",
        "group_column": "nobody is in two splits, and intervals resample these",
        "split_column": "train, validation or test",
        "shares": "train, validation, test; few images, so more to test on",
    }
    found = [Setting(f"data.{key}", value, reasons.get(key, "")) for key, value in seen.section.items()]
    if seen.table and "class_column" in seen.table.settings and (rest := (*seen.table.labels, *seen.table.classes)):
        at = next(place for place, setting in enumerate(found) if setting.key == "data.class_column")
        why = f"{reasons['class_column']}; not used: {some(list(rest))}"
        found[at] = found[at]._replace(why=why)
    if seen.source.targets.exclusive:
        chosen, rare, none = kept(seen)
        left_out = [
            f"{some(names)} ({why})" for names, why in ((rare, f"under {RARE} images"), (none, "no class")) if names
        ]
        if left_out:
            found.append(Setting("data.attributes", sorted(chosen), f"left out: {'; '.join(left_out)}"))
    return found


def _images(seen):
    side, shorter = _side(seen), int(np.median(seen.sizes.min(axis=1))) if len(seen.sizes) else 64
    larger = (
        f"half of the images have {shorter} pixels or more along their shorter edge; {2 * side} takes 4 times as long"
    )
    found = [Setting("data.image_size", side, larger)]
    lost = 1 - float(np.median(seen.sizes.min(axis=1) / seen.sizes.max(axis=1))) if len(seen.sizes) else 0.0
    if lost > 0.15 and seen.section["source"] != "celeba":  # whose faces are in the middle
        found.append(Setting("data.fit", "pad", f"cropping to a square would leave out {lost:.0%} of the longer edge"))
    found.append(Setting("data.flip", True, "false where left and right matter (letters, traffic signs, organs)"))
    found.append(Setting("data.shift", side // 16, "pixels, each way"))
    return found


def _training(seen):
    epochs, train = _epochs(seen), _train(seen)
    about = f"{epochs} times {train:,} images: about {minutes(seen)} on two cores"
    return [
        Setting("training.epochs", epochs, about),
        Setting("training.batch_size", min(32, max(2, train // 4))),
        Setting("training.learning_rate", 4e-3),
        Setting("training.weight_decay", 0.02),
        Setting("training.start_at_rates", True, "heads begin at how often a target is present"),
    ]


def _side(seen):
    """64 pixels, or 32 where the images are smaller."""
    return 64 if not len(seen.sizes) or np.median(seen.sizes.min(axis=1)) >= 48 else 32


def _train(seen):
    """About how many training images."""
    if not seen.drawn:
        return len(seen.source.splits["train"])
    images = seen.images
    if seen.source.targets.exclusive:
        counts = seen.counts
        images = sum(counts[name] for name in kept(seen)[0])
    return round(images * seen.section.get("shares", (0.8,))[0])


def _epochs(seen):
    return int(np.clip(round(PASSES / max(1, _train(seen))), 3, MOST_EPOCHS))
