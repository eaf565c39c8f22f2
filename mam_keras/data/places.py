"""Where do attributes show in an image? One file that says it, for `fit`, `report` and `direct` alike.

Of images that are all alike: boxes around landmarks, which hardly move from one aligned image to the next, rectangles
and polygons in fractions of the prepared image, and presets, some of these under a name. Of single images, by their
ids: shapes, or masks in a folder, which stand in the place of what holds for all. Knows neither networks nor maps.
"""

import difflib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field, model_serializer, model_validator

from mam_keras import settings
from mam_keras.data import composed, file_names, nearest
from mam_keras.data.shapes import Box, Number, Shapes, inside, pixels
from mam_keras.data.source import digests, file_digests
from mam_keras.data.square import nearest_pixels
from mam_keras.errors import UserError
from mam_keras.files import expecting
from mam_keras.settings import Count, Section, Text

CELEBA, DRAWN = (Path(__file__).with_name(f"{images}_regions.yaml") for images in ("celeba", "drawn"))
WHITE = 128  # grey levels of a mask from here on are region


class Region(Shapes):
    """Pixels of all aligned images: shapes, and boxes around landmarks."""

    boxes: tuple[Box, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty(self, values):
        return {key: value for key, value in values(self).items() if value or key in ("parts", "boxes")}


class Place(Region):
    """Where one attribute is: in any of these."""

    parts: tuple[Text, ...] = ()  # classes of part masks
    presets: tuple[Text, ...] = ()


class Places(Section):
    """Where attributes are, and what that is measured in; see `celeba_regions.yaml`."""

    frame: tuple[Count, Count] | None = None  # width and height of the images of landmarks and boxes
    landmarks: Annotated[dict[Text, tuple[Number, Number]], Field(default_factory=dict)]  # mean x, y
    presets: Annotated[dict[Text, Region], Field(default_factory=dict)]
    attributes: Annotated[dict[Text, Place], Field(default_factory=dict)]
    images: Annotated[dict[Text, dict[Text, Shapes]], Field(default_factory=dict)]  # by id and attribute
    masks: Text | None = None  # folder with ATTRIBUTE/ID.png, white where the attribute is; beside the file itself

    @model_validator(mode="after")
    def _says_something(self):
        if not (self.attributes or self.images or self.masks):
            raise ValueError("attributes: expected where at least one attribute is, or images, or masks. Received: {}")
        return self

    @model_serializer(mode="wrap")
    def _without_empty(self, values):
        old = ("frame", "landmarks", "attributes")
        return {key: value for key, value in values(self).items() if value or key in old}

    def regions(self) -> Iterator[tuple[str, Region]]:
        """All that holds for all images, with its key."""
        for section in ("presets", "attributes"):
            for name, region in getattr(self, section).items():
                yield f"{section}.{name}", region


def read(path, data=None) -> Places:
    """The `Places` of a YAML file, of CelebA's where `path` is None. Raises `UserError` naming file and key.

    Args:
        data: a data section of `config`, whose images have presets of the package's own beside the file's (`shipped`).
            Without it, any of them may be named.
    """
    path = path or CELEBA
    found = settings.check(settings.read(path), str(path), Places)
    kinds = (CELEBA, DRAWN) if data is None else filter(None, [_kind(data)])
    presets = set(found.presets).union(*(_parsed(kind).presets for kind in kinds))
    for key, region in found.regions():
        for number, box in enumerate(region.boxes):
            expect_known(path, f"{key}.boxes.{number}.around", box.around, found.landmarks, "landmarks of the file")
            if found.frame is None:
                raise UserError(
                    f"{path}: frame: expected width and height of the images in which landmarks are measured, for "
                    f"{key}.boxes.{number}. Received: nothing"
                )
        expect_known(path, f"{key}.presets", getattr(region, "presets", ()), presets, "presets")
    update = {
        "attributes": {composed(name): place for name, place in found.attributes.items()},
        "images": {
            identifier: {composed(name): shapes for name, shapes in marked.items()}
            for identifier, marked in found.images.items()
        },
    }
    if found.masks is not None:
        update["masks"] = str(Path(path).parent / found.masks)
        if not Path(update["masks"]).is_dir():
            raise UserError(f"{path}: masks: expected a folder of masks. Received: {update['masks']}, which is none")
    return found.model_copy(update=update)


def shipped(data) -> Places | None:
    """Where attributes and presets are in the images of a data section, as the package says; None where it does not."""
    return None if (kind := _kind(data)) is None else _parsed(kind)


def _kind(data):
    return CELEBA if data.is_celeba else DRAWN if data.is_drawn else None


@functools.cache
def _parsed(path):
    return settings.check(settings.read(path), str(path), Places)


def aligned(data, path) -> bool:
    """Whether it is known where attributes are in a data section's images: in CelebA's, else where a file says so."""
    return data.is_celeba or path is not None


def expect_known(path, key, names, known, what):
    """Raises `UserError` for a name that is not among the known ones."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" ({', '.join(sorted(known)) or 'there are none'})."
            raise UserError(f"{path}: {key}: expected {what}{hint} Received: {name!r}")


def require_attributes(key, names, attributes):
    """Raises `UserError`, opening with the key, for a name that is none of the data's attributes."""
    for name in names:
        if name not in attributes:
            near = nearest(name, attributes)
            raise UserError(f"{key}: expected attributes of the data; did you mean {near!r}? Received: {name!r}")


def template(places, data, attributes, ids) -> np.ndarray:
    """What holds for all images: bool (K, S, S), the union of an attribute's regions, none where it has none.

    Args:
        places: `Places`.
        data: a data section of `config`; landmarks of its own stand in the place of the file's.
        attributes: K names.
        ids: of the images whose mean landmarks are wanted, str (n,).
    """
    own = data.landmarks(ids)

    def union(place):
        found = _drawn(place, places, data, own)
        for name in place.presets:
            found |= _drawn(*_preset(name, places, data), data, own)
        return found

    return np.stack([union(places.attributes.get(name, Place())) for name in attributes])


def presets(data, places=None) -> dict[str, np.ndarray]:
    """The presets that there are for a data section's images, each bool (S, S): the package's, and those of a file."""
    own = {} if places is None else places.presets
    known = own if (package := shipped(data)) is None else package.presets | own
    return {name: _drawn(*_preset(name, places, data), data, {}) for name in known}


def of_images(places, data, attributes, ids) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """What holds for single images: ((row of `ids`, k of `attributes`), bool (S, S)), each once.

    A mask has the picture's form, whatever its size, and is prepared as the picture is: of the nearest pixel.
    Raises `UserError` for a mask that cannot be read.
    """
    rows, order = {name: row for row, name in enumerate(ids.tolist())}, {name: k for k, name in enumerate(attributes)}
    marked = set()
    for identifier, shapes in places.images.items():
        for name in shapes.keys() & order.keys() if identifier in rows else ():
            marked.add((rows[identifier], order[name]))
            yield (rows[identifier], order[name]), inside(shapes[name], data.image_size)
    for name, k in order.items() if places.masks is not None else ():
        for row, path in mask_files(Path(places.masks), name, list(rows)):
            if (row, k) not in marked:
                yield (row, k), _mask(path, data)


def settings_of(places, data) -> dict:
    """What decides the regions, as plain values: the file's own, the presets that it uses, the content of masks."""
    values = places.model_dump(mode="json")
    used = {name for place in places.attributes.values() for name in place.presets}
    values.pop("presets", None)
    if used:
        values["presets"] = {name: _preset(name, places, data)[0].model_dump(mode="json") for name in sorted(used)}
    if places.masks is not None:
        files = sorted(Path(places.masks).rglob("*.png"))
        content = "".join(map(str, [*(file.relative_to(places.masks) for file in files), *file_digests(files)]))
        values["masks"] = int(digests([content.encode()])[0])
    return values


def _preset(name, places, data):
    """A preset, and the `Places` that it is from."""
    for one in filter(None, (places, shipped(data))):
        if name in one.presets:
            return one.presets[name], one
    raise UserError(
        f"presets: expected {name!r} in the file of regions itself: for these images (data.source) the package has "
        "no presets. Received: nothing"
    )


def _drawn(region, places, data, landmarks):
    found = inside(region, data.image_size)
    if region.boxes:
        found |= pixels(region.boxes, places.landmarks | landmarks, places.frame, data.image_size, data.fit)
    return found


def mask_files(folder: Path, attribute: str, ids: list[str]) -> Iterator[tuple[int, Path]]:
    """Yields (row of `ids`, path) of the masks of an attribute that there are below a folder, in the order of the rows.

    Raises `UserError` for a name that leads out of the folder.
    """
    read = file_names.reader(folder)
    names = []
    try:
        for identifier in ids:
            names += [
                read(f"{attribute}/{identifier}.png"),
                read(f"{attribute}/{Path(identifier).with_suffix('.png')}"),
            ]
    except ValueError:  # a name that leads elsewhere names no mask of this folder
        raise UserError(
            f"{folder}: expected masks under names that stay in this folder. Received: {attribute!r}, {identifier!r}"
        ) from None
    paths = file_names.on_disk(folder, names)
    for row, both in enumerate(zip(paths[::2], paths[1::2], strict=True)):
        for path in map(Path, both):
            if path.exists():
                yield row, path
                break


def _mask(path, data):
    with expecting(path, "a mask, white where the attribute is"), Image.open(path) as image:
        white = np.asarray(image.convert("L")) >= WHITE
    found, beside = nearest_pixels(white, data.image_size, data.fit)
    return found & ~beside
