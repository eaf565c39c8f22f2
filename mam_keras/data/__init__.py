"""From settings to a source of labelled images. Picks the source's module and applies what all sources share.

Knows no file format; decodes no image, and so does not import TensorFlow before an image is drawn.
"""

import difflib
import unicodedata
from collections import Counter
from dataclasses import replace

import numpy as np

from mam_keras.data.source import SPLITS, Source, Split, Targets
from mam_keras.errors import UserError
from mam_keras.settings import Registry

SOURCES = Registry(
    "source",
    {name: f"mam_keras.data.{name}" for name in ("celeba", "tfds", "table", "folders", "synthetic_faces")},
)


def load(settings, training: bool = True) -> Source:
    """The source that one of `config`'s data sections describes.

    Validation is joined to train first (`train_on_validation`; there is no validation split then), each split is cut
    to its first `limit` images next, and `attributes` are chosen and ordered last (of exclusive classes by the source's
    module, which leaves out the images of all others). Splits without images are left out. Without `training` there
    need be no training images.

    Raises `UserError` for what the source's own module refuses, for a source without training images, without a single
    known label of these, without two classes where they are exclusive, without the validation split that
    `train_on_validation` asks for, and for an unknown or repeated attribute.
    """
    source = SOURCES.module(settings.source).load(settings)
    if source.targets.exclusive and len(source.attributes) < 2:
        received = some(source.attributes) or "none"
        raise UserError(f"data.source: expected two classes or more (add images of others). Received: {received}")
    splits = {name: source.splits[name] for name in SPLITS if name in source.splits and len(source.splits[name])}
    found = ", ".join(f"{name} {len(split)}" for name, split in splits.items()) or "no images"
    if training and "train" not in splits:
        raise UserError(f"data.source: expected {settings.source} to hold training images. Received: {found}")
    if settings.train_on_validation:
        if "validation" not in splits:
            raise UserError(f"data.train_on_validation: expected false without a validation split. Received: {found}")
        splits["train"] = _joined(splits["train"], splits.pop("validation"))
    if settings.limit is not None:
        splits = {name: first(split, settings.limit) for name, split in splits.items()}
    chosen = attribute_positions(settings.attributes, source.attributes)
    attributes = tuple(composed(source.attributes[position]) for position in chosen)
    if twice := [name for name, times in Counter(attributes).items() if times > 1]:
        raise UserError(f"data.source: expected every name once. Received: {some(twice)}, in two forms of Unicode")
    splits = {
        name: replace(split, labels=split.labels[:, chosen], known=split.known[:, chosen])
        for name, split in splits.items()
    }
    targets = Targets(attributes, source.targets.exclusive)
    if training and not splits["train"].known.any():
        raise UserError(f"data.source: expected a known label of a training image. Received: none of {found}")
    return Source(targets, splits, (*source.notes, *_warnings(targets, splits)))


def asked_about(source: Source, targets: Targets) -> Source:
    """The source with these targets in their order, matched by name, as a model answers them.

    Labels of targets that the source does not have are not known; targets that only the source has are left out, and of
    exclusive ones the classes of their images are not known.
    """
    places = [source.attributes.index(name) if name in source.attributes else -1 for name in targets.names]

    def of(split):
        nothing = np.zeros((len(split), 1), bool)
        labels, known = (np.concatenate([array, nothing], axis=1)[:, places] for array in (split.labels, split.known))
        if targets.exclusive:
            known = np.repeat(labels.any(axis=1, keepdims=True), len(places), axis=1)
        return replace(split, labels=labels, known=known)

    return replace(source, targets=targets, splits={name: of(split) for name, split in source.splits.items()})


def attribute_positions(chosen, known) -> list[int]:
    """Where the chosen attributes stand among the known ones; all positions in their order if `chosen` is None.

    Raises `UserError` for an unknown attribute (naming the nearest known one) and for one chosen twice.
    """
    if chosen is None:
        return list(range(len(known)))
    positions = {composed(name): position for position, name in enumerate(known)}
    chosen = list(map(composed, chosen))
    for name, times in Counter(chosen).items():
        if name not in positions:
            near = nearest(name, known)
            raise UserError(f"data.attributes: expected known names; did you mean {near!r}? Received: {name!r}")
        if times > 1:
            raise UserError(f"data.attributes: expected every name once. Received: {name!r} {times} times")
    if not chosen:
        raise UserError("data.attributes: expected at least one name, or null for all. Received: none")
    return [positions[name] for name in chosen]


def composed(name: str) -> str:
    """A name in the one form of Unicode in which names are compared: letters in one piece with their accents."""
    return unicodedata.normalize("NFC", name)


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
        known=np.concatenate([train.known, validation.known]),
        images=lambda: train.images().concatenate(validation.images()),
        groups=np.concatenate([train.groups, validation.groups]) if both_grouped else None,
        contents=lambda: np.concatenate([train.contents(), validation.contents()]),
    )


def first(split: Split, limit: int) -> Split:
    """The first so many images of a split."""
    if len(split) <= limit:
        return split

    def images():
        import tensorflow as tf

        # Not `take`: it does not count an element that raises, and would go on past the last label.
        dataset = tf.data.Dataset.zip(tf.data.Dataset.range(limit), split.images())
        return dataset.map(lambda _, element: element)

    return Split(
        ids=split.ids[:limit],
        labels=split.labels[:limit],
        known=split.known[:limit],
        images=images,
        groups=None if split.groups is None else split.groups[:limit],
        contents=lambda: split.contents()[:limit],
    )


def _warnings(targets, splits) -> list[str]:
    """What makes figures mean less than they seem to."""
    notes, names = [], np.array(targets.names)
    constant = names[np.isin(splits["train"].rates, (0, 1))].tolist() if "train" in splits else []
    if constant:
        notes.append(f"the same in all training images, so that nothing can be learnt of it: {some(constant, 5)}")
    unknown = {name: ~split.known.any(axis=0) for name, split in splits.items()}
    if len(splits) > 1 and (everywhere := np.all(list(unknown.values()), axis=0)).any():
        notes.append(f"no label is known anywhere: {some(names[everywhere].tolist(), 5)}")
        unknown = {name: nowhere & ~everywhere for name, nowhere in unknown.items()}
    for name, nowhere in unknown.items():
        if nowhere.all():
            notes.append(f"no label is known in {name}, so that it has no figures")
        elif nowhere.any():
            notes.append(f"no label is known in {name}: {some(names[nowhere].tolist(), 5)}")
    what, known = "labels", {name: split.known for name, split in splits.items()}
    if targets.exclusive:
        what, known = "images' classes", {name: rows[:, 0] for name, rows in known.items()}
    counts = [f"{name} {each.size - each.sum():,} of {each.size:,}" for name, each in known.items() if not each.all()]
    if counts:
        notes.append(f"{what} that are not known and count nowhere: {', '.join(counts)}")
    grouped = [np.unique(split.groups) for split in splits.values() if split.groups is not None]
    if grouped:
        _, times = np.unique(np.concatenate(grouped), return_counts=True)
        if divided := np.count_nonzero(times > 1):
            notes.append(f"groups with images in more than one split, which are then not independent: {divided}")
    return notes
