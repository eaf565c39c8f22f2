"""From settings to a source of labelled images. Picks the source's module and applies what all sources share.

Knows no file format; decodes no image, and so does not import TensorFlow before an image is drawn.
"""

import difflib
import hashlib
import importlib
from collections import Counter
from dataclasses import replace

import numpy as np

from mam_keras.data.source import SPLITS, Source, Split
from mam_keras.errors import UserError


def load(settings) -> Source:
    """The source that one of `config`'s data sections describes.

    Validation is joined to train first (`train_on_validation`; there is no validation split then), each split is cut
    to its first `limit` images next, and `attributes` are chosen and ordered last. Splits without images are left out.

    Raises `UserError` for what the source's own module refuses, for a source without training images, without the
    validation split that `train_on_validation` asks for, and for an unknown or repeated attribute.
    """
    source = importlib.import_module(f"mam_keras.data.{settings.source}").load(settings)
    splits = {name: source.splits[name] for name in SPLITS if name in source.splits and len(source.splits[name])}
    found = ", ".join(f"{name} {len(split)}" for name, split in splits.items()) or "no images"
    if "train" not in splits:
        raise UserError(f"data.source: expected {settings.source} to hold training images. Received: {found}")
    if settings.train_on_validation:
        if "validation" not in splits:
            raise UserError(f"data.train_on_validation: expected false without a validation split. Received: {found}")
        splits["train"] = _joined(splits["train"], splits.pop("validation"))
    if settings.limit is not None:
        splits = {name: _first(split, settings.limit) for name, split in splits.items()}
    chosen = attribute_positions(settings.attributes, source.attributes)
    attributes = tuple(source.attributes[position] for position in chosen)
    splits = {name: replace(split, labels=split.labels[:, chosen]) for name, split in splits.items()}
    return Source(attributes, splits, (*source.notes, *_warnings(attributes, splits)))


def attribute_positions(chosen, known) -> list[int]:
    """Where the chosen attributes stand among the known ones; all positions in their order if `chosen` is None.

    Raises `UserError` for an unknown attribute (naming the nearest known one) and for one chosen twice.
    """
    if chosen is None:
        return list(range(len(known)))
    for name, times in Counter(chosen).items():
        if name not in known:
            near = nearest(name, known)
            raise UserError(f"data.attributes: expected known names; did you mean {near!r}? Received: {name!r}")
        if times > 1:
            raise UserError(f"data.attributes: expected every name once. Received: {name!r} {times} times")
    if not chosen:
        raise UserError("data.attributes: expected at least one name, or null for all. Received: none")
    return [known.index(name) for name in chosen]


def nearest(name, known) -> str:
    """The known name a misspelt one is most like, whatever its case."""
    folded = {other.casefold(): other for other in known}
    return folded[difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0)[0]]


def some(names, most=3) -> str:
    """The first few names, and how many more there are: 'a, b, c and 7 more'."""
    more = len(names) - most
    return ", ".join(" ".join(name.split()) for name in names[:most]) + (f" and {more} more" if more > 0 else "")


def _joined(train: Split, validation: Split) -> Split:
    both_grouped = train.groups is not None and validation.groups is not None
    return Split(
        ids=np.concatenate([train.ids, validation.ids]),
        labels=np.concatenate([train.labels, validation.labels]),
        images=lambda: train.images().concatenate(validation.images()),
        groups=np.concatenate([train.groups, validation.groups]) if both_grouped else None,
        fingerprint=_fingerprint("joined", train.fingerprint, validation.fingerprint),
    )


def _first(split: Split, limit: int) -> Split:
    if len(split) <= limit:
        return split

    def images():
        import tensorflow as tf

        # Not `take`: it does not count an element that raises, and would go on past the last label.
        dataset = tf.data.Dataset.zip(tf.data.Dataset.range(limit), split.images())
        return dataset.map(lambda _, image: image)

    return Split(
        ids=split.ids[:limit],
        labels=split.labels[:limit],
        images=images,
        groups=None if split.groups is None else split.groups[:limit],
        fingerprint=_fingerprint("first", str(limit), split.fingerprint),
    )


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _warnings(attributes, splits) -> list[str]:
    """What makes figures mean less than they seem to."""
    notes = []
    share = splits["train"].labels.mean(axis=0)
    constant = [name for name, positive in zip(attributes, share, strict=True) if positive in (0, 1)]
    if constant:
        notes.append(f"the same in all training images, so that nothing can be learnt of it: {some(constant, 5)}")
    grouped = [np.unique(split.groups) for split in splits.values() if split.groups is not None]
    if grouped:
        _, times = np.unique(np.concatenate(grouped), return_counts=True)
        if divided := np.count_nonzero(times > 1):
            notes.append(f"groups with images in more than one split, which are then not independent: {divided}")
    return notes
