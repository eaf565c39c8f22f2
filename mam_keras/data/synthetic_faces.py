"""Faces drawn by the program: what does a picture look like that has exactly these attributes, and where are they?

A `Scene` (pose, shapes, colours, light, background) follows from (seed, split, index) and knows nothing of the
attributes; `draw` puts the attributes into it; `region` is the pixels that one attribute alone changes. Knows nothing
of training.
"""

from typing import Annotated, ClassVar, Literal

import numpy as np
from PIL import Image, ImageDraw
from pydantic import Field

from mam_keras.data.pen import Pen, both_sides, ellipse, mirrored, smooth
from mam_keras.data.source import SPLITS, Data, Source, Split, Targets, digests
from mam_keras.settings import Count, Share

# Name and positive rate. The two makeups stay at 0.5: only then can any co-occurrence keep both rates.
_RATES = {
    "Bangs": 0.4,
    "Big_Nose": 0.4,
    "Bushy_Eyebrows": 0.4,
    "Eyeglasses": 0.35,
    "Goatee": 0.3,
    "Heavy_Makeup": 0.5,
    "Mouth_Slightly_Open": 0.5,
    "Mustache": 0.3,
    "Narrow_Eyes": 0.4,
    "Smiling": 0.5,
    "Wearing_Earrings": 0.4,
    "Wearing_Hat": 0.35,
    "Wearing_Lipstick": 0.5,
    "Wearing_Necktie": 0.35,
}
ATTRIBUTES = tuple(_RATES)

_VERSION = 1  # of the drawing; part of the images' digests, so it rises with every change of a pixel
_OVERSAMPLING = 3  # shapes are drawn this much larger and averaged: smooth edges
_BATCH = 32  # images per call from tf.data

_SKINS = [
    (250, 220, 200), (240, 200, 172), (228, 184, 148), (214, 164, 126), (190, 138, 102), (160, 110, 80), (128, 84, 60),
]  # fmt: skip
_HAIRS = [
    (30, 24, 24), (62, 40, 30), (98, 62, 40), (140, 74, 40), (176, 130, 74),
    (224, 190, 118), (150, 148, 150), (226, 224, 222), (150, 44, 40), (84, 60, 130),
]  # fmt: skip
_CLOTHS = [
    (28, 30, 38), (232, 232, 228), (150, 28, 34), (30, 60, 130), (32, 104, 74), (206, 160, 44),
    (110, 44, 116), (88, 150, 190), (196, 104, 54), (122, 122, 128), (214, 130, 160), (88, 62, 46),
]  # fmt: skip
_LIPSTICKS = [(196, 14, 40), (150, 10, 60), (214, 40, 120), (120, 20, 90), (226, 60, 40), (90, 10, 30)]
_SHADOWS = [
    (60, 70, 190), (120, 40, 160), (30, 130, 130), (50, 40, 60),
    (40, 140, 70), (190, 50, 130), (240, 226, 236), (236, 196, 70),
]  # fmt: skip
_BLUSHES = [(226, 40, 80), (236, 90, 50), (170, 30, 90), (150, 60, 40), (240, 120, 170)]
_METALS = [(250, 214, 90), (236, 240, 248), (60, 200, 200), (220, 40, 60), (30, 30, 40), (80, 90, 220)]
_IRISES = [(60, 36, 22), (104, 68, 36), (60, 110, 150), (70, 120, 80), (110, 120, 130)]


class Settings(Data):
    """Faces drawn by the program; nothing to download."""

    TITLE: ClassVar[str] = "faces drawn by the program"
    SHOWS: ClassVar[str] = "a drawn face"

    source: Literal["synthetic_faces"]
    train: Count = 6000
    validation: Count = 1000
    test: Count = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    co_occurrence: Share = 0.5  # P(Wearing_Lipstick = Heavy_Makeup) in train and validation; 0.5 = independent
    test_co_occurrence: Share | None = None  # the same in test; as in train when left out

    @property
    def is_drawn(self):
        return True


class Scene:
    """What image `index` of `split` ("train", "validation" or "test") is made of besides its attributes.

    Lengths are in half heights of the face, in face coordinates: 0 between the eyes, x to the right, y down, as
    complex numbers; the chin is near 1j. `centre` and `unit` are in sides of the image. Colours are red, green, blue
    in 0..255; where an attribute's colour must be seen on another, the two are kept apart.
    """

    def __init__(self, seed, split, index):
        rng = np.random.default_rng([seed, SPLITS.index(split), 1, index])
        uniform, chance = rng.uniform, rng.integers
        self.centre = complex(0.5 + uniform(-0.055, 0.055), 0.435 + uniform(-0.045, 0.045))  # where 0 lies
        self.unit = 0.28 * uniform(0.9, 1.1) * np.exp(1j * np.radians(uniform(-13, 13)))  # scale and rotation
        self.lean = np.exp(1j * np.radians(uniform(-8, 8)))  # the body's turn against the head's
        self.turn = uniform(-1, 1)  # how far the features are moved to one side, as by a turned head
        self.width, self.jaw = uniform(0.68, 0.8), uniform(0.08, 0.3)  # half width, and how much narrower the jaw is
        self.eye_x, self.eye_size = uniform(0.32, 0.37), uniform(0.92, 1.12)
        self.brow_y, self.brow_slant = uniform(-0.26, -0.23), uniform(-0.03, 0.05)
        self.nose_y = uniform(0.32, 0.37)
        self.mouth_y, self.mouth_width, self.mouth_bend = uniform(0.6, 0.65), uniform(0.25, 0.31), uniform(-0.01, 0.05)
        self.lips = uniform(0.85, 1.2)  # a factor on their thickness
        self.hair_length, self.hair_volume = uniform(-0.1, 1.5), uniform(0.08, 0.2)
        self.parting = uniform(-0.4, 0.4)
        self.fringe = uniform(-0.42, -0.34, 6)  # y of the tips of the bangs
        self.beard_width = uniform(0.28, 0.38)
        self.hat_style, self.earring_style, self.round_glasses = chance(3), chance(3), chance(2)

        self.skin = skin = _pick(rng, _SKINS)
        self.hair = _pick(rng, _HAIRS, skin, distance=75)
        self.beard = _pick(rng, [_tone(self.hair, f) for f in (0.6, 0.8, 1.0, 1.2)], skin, distance=75)
        self.iris = _pick(rng, _IRISES)
        self.bare_lips = int(0.87 * skin[0]), int(0.67 * skin[1]), int(0.65 * skin[2])
        self.lipstick = _pick(rng, _LIPSTICKS, self.bare_lips, distance=70)
        self.eye_shadow = _pick(rng, _SHADOWS, skin, distance=80)
        self.blush = _pick(rng, _BLUSHES, skin, distance=60)
        self.flush = int(chance(50))  # opacity of the cheeks' natural red
        self.shirt = _pick(rng, _CLOTHS)
        self.collar = _pick(rng, _CLOTHS, self.shirt, distance=40)
        self.tie = _pick(rng, _CLOTHS, self.shirt, self.collar, skin, distance=80)
        self.stripes = _pick(rng, _CLOTHS, self.tie, self.shirt, distance=80)
        self.hat = _pick(rng, _CLOTHS, self.hair, distance=60)
        self.frame = _pick(rng, _CLOTHS, skin, distance=90)
        self.earring = _pick(rng, _METALS, skin, self.hair, distance=70)

        start, end, angle = uniform(30, 225, 3), uniform(30, 225, 3), uniform(0, 2 * np.pi)
        place = np.linspace(-0.5, 0.5, 6)
        along = 0.5 + (np.cos(angle) * place + np.sin(angle) * place[:, None]) / np.sqrt(2)
        colours = start + (end - start) * along[..., None]
        muted = 0.55 * colours + 0.45 * colours.mean(axis=-1, keepdims=True)
        texture = rng.normal(0, 10, (6, 6, 1))
        self.background = np.clip(muted + texture, 0, 255).astype(np.uint8)  # (6, 6, 3), enlarged smoothly
        self.light = uniform(-0.22, 0.22), uniform(-0.16, 0.12)  # its growth to the right and down
        self.falloff = uniform(0.05, 0.3)  # how much darker it is away from the middle of the face
        warmth = uniform(-0.08, 0.08)
        self.gain = uniform(0.82, 1.08) * np.array([1 + warmth, 1 + 0.1 * warmth, 1 - warmth], np.float32)
        self.grain, self.grain_seed = uniform(1, 4), chance(2**31)  # standard deviation in levels


def draw(scene, attributes, size):
    """The picture: a `Scene` and bool (K,) in the order of `ATTRIBUTES` -> uint8 (size, size, 3)."""
    side = size * _OVERSAMPLING
    backdrop = Image.fromarray(scene.background).resize((size, size), Image.Resampling.BICUBIC)
    picture = backdrop.resize((side, side), Image.Resampling.NEAREST)
    surface = ImageDraw.Draw(picture, "RGBA")  # this mode lets colours be translucent
    unit = scene.unit * side
    head = Pen(surface, scene.centre * side, unit)
    body = Pen(surface, scene.centre * side + 0.9j * unit * (1 - scene.lean), unit * scene.lean)
    has = dict(zip(ATTRIBUTES, attributes, strict=True))
    _draw_body(scene, has, body, head)
    _draw_head(scene, has, head)
    _draw_features(scene, has, head.moved(0.07 * scene.turn))
    _draw_hair(scene, has, head)
    return _lit(scene, np.asarray(picture.reduce(_OVERSAMPLING)))


def toggled(scene, attributes, k, size):
    """The picture of `draw` with attribute k alone toggled: uint8 (size, size, 3)."""
    other = np.array(attributes, bool)
    other[k] = not other[k]
    return draw(scene, other, size)


def region(scene, attributes, k, size):
    """The pixels that change when attribute k alone is toggled: bool (size, size)."""
    return np.any(draw(scene, attributes, size) != toggled(scene, attributes, k, size), axis=-1)


class Scenes:
    """The scenes behind the images of `load`, found again by their ids whatever was left out of them since.

    Args:
        settings: as in `load`.
    """

    def __init__(self, settings: Settings):
        self._settings, self._splits = settings, load(settings).splits

    def toggled(self, identifier, attribute):
        """An image with one attribute alone toggled, by its id and the attribute's name: uint8 (S, S, 3)."""
        split, index = identifier.rsplit("-", 1)
        scene = Scene(self._settings.seed, split, int(index))
        labels = self._splits[split].labels[int(index)]
        return toggled(scene, labels, ATTRIBUTES.index(attribute), self._settings.image_size)


def load(settings: Settings) -> Source:
    """The three splits of `settings`, drawn at its `image_size`; image i is the same however many there are.

    With co-occurrence q, P(Wearing_Lipstick = Heavy_Makeup) = q and both keep their rate of 0.5.
    """
    return Source(Targets(ATTRIBUTES), {name: _split(settings, name) for name in SPLITS})


def _split(settings, name):
    count, co_occurrence = getattr(settings, name), settings.co_occurrence
    if name == "test" and settings.test_co_occurrence is not None:
        co_occurrence = settings.test_co_occurrence
    rng = np.random.default_rng([settings.seed, SPLITS.index(name), 0])  # apart from every scene's
    chance = rng.random((count, len(ATTRIBUTES)))
    labels = chance < np.array(list(_RATES.values()))
    makeup, lipstick = ATTRIBUTES.index("Heavy_Makeup"), ATTRIBUTES.index("Wearing_Lipstick")
    labels[:, lipstick] = labels[:, makeup] == (chance[:, lipstick] < co_occurrence)
    size = settings.image_size
    drawing = f"synthetic_faces {_VERSION} {name} {size} {settings.seed} {co_occurrence}"

    def drawn(indices):
        return np.stack([draw(Scene(settings.seed, name, int(i)), labels[i], size) for i in indices])

    def batch(indices):
        import tensorflow as tf  # takes seconds, and settings are read without it

        images = tf.numpy_function(drawn, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, size, size, 3)), tf.zeros_like(indices, tf.bool)

    def images():  # in one thread: Python's lock makes several slower
        import tensorflow as tf

        return tf.data.Dataset.range(count).batch(_BATCH).map(batch).unbatch()

    return Split(
        ids=np.array([f"{name}-{index:06d}" for index in range(count)]),
        labels=labels,
        images=images,
        groups=None,
        contents=lambda: digests(f"{drawing} {index}".encode() for index in range(count)),
    )


def _draw_body(scene, has, pen, head):
    """Clothes, the hair behind the head, the neck, the collar and the tie."""
    shade = _tone(scene.shirt, 0.78)
    pen.fill(smooth(both_sides([0.25 + 1.12j, 0.75 + 1.28j, 1.2 + 1.5j, 1.5 + 2.2j, 1.6 + 4j])), scene.shirt)
    pen.line_both([0.95 + 1.75j, 0.9 + 4j], 0.05, shade)
    top, low = scene.width + scene.hair_volume, scene.hair_length
    behind = [-1.14j, 0.55 * top - 1.06j, top - 0.6j, top + 0.03 + 0.1j, top + low * 0.35j, 0.75 * top + low * 1j]
    head.fill(smooth(both_sides(behind)), _tone(scene.hair, 0.72))
    pen.fill(both_sides([0.34 + 0.5j, 0.33 + 1.1j, 0.4 + 1.26j, 0.06 + 1.72j]), _tone(scene.skin, 0.88))  # the neck
    head.fill(ellipse(0.84j, 0.36, 0.36), _tone(scene.skin, 0.68))  # the chin's shadow
    pen.line([1.72j, 4j], 0.04, shade)
    for y in (1.85, 2.15):
        pen.fill(ellipse(0.05 + y * 1j, 0.035, 0.035), shade)
    if has["Wearing_Necktie"]:
        pen.fill([-0.12 + 1.6j, 0.12 + 1.6j, 0.36 + 2.6j, -0.36 + 2.6j], scene.tie)
        for y in (1.72, 1.98, 2.24):
            pen.line([-0.12 - 0.24 * (y - 1.6) + (y + 0.1) * 1j, 0.12 + 0.24 * (y - 1.6) + y * 1j], 0.09, scene.stripes)
        pen.fill([-0.22 + 1.34j, 0.22 + 1.34j, 0.13 + 1.62j, -0.13 + 1.62j], _tone(scene.tie, 0.75))
    pen.fill_both([0.35 + 1.1j, 0.5 + 1.26j, 0.34 + 1.66j, 0.12 + 1.56j], scene.collar)
    pen.line_both([0.12 + 1.56j, 0.34 + 1.66j, 0.5 + 1.26j], 0.025, _tone(scene.collar, 0.7))


def _draw_head(scene, has, pen):
    """Ears, earrings and the head's outline with its soft shadows."""
    ears = pen.moved(-0.03 * scene.turn)
    ears.fill_both(ellipse(scene.width + 0.03 + 0.1j, 0.13, 0.21), scene.skin)
    ears.fill_both(ellipse(scene.width + 0.05 + 0.1j, 0.07, 0.13), _tone(scene.skin, 0.8))
    pen.fill(_outline(scene, 1), scene.skin)
    pen.fill(_outline(scene, 0.97) - 0.02j, _tone(scene.skin, 1.03), 120)
    if has["Wearing_Earrings"]:
        for side in (-1, 1):
            _draw_earring(scene, ears, side * (scene.width + 0.05) + 0.33j)


def _draw_earring(scene, pen, lobe):
    metal, dark = scene.earring, _tone(scene.earring, 0.55)
    if scene.earring_style == 0:  # a stud
        pen.fill(ellipse(lobe + 0.06j, 0.15, 0.15), dark)
        pen.fill(ellipse(lobe + 0.06j, 0.12, 0.12), metal)
    elif scene.earring_style == 1:  # a hoop
        pen.ring(ellipse(0, 0.18, 0.21), lobe + 0.16j, 0.5, metal)
    else:  # a drop
        pen.fill(ellipse(lobe, 0.06, 0.06), dark)
        pen.fill(lobe + np.array([0.02j, 0.14 + 0.26j, 0.42j, -0.14 + 0.26j]), metal)
    pen.fill(ellipse(lobe - 0.03, 0.03, 0.03), (255, 255, 255), 170)


def _draw_features(scene, has, pen):
    """Everything between the hairline and the chin."""
    pen.fill_both(ellipse(0.46 + 0.36j, 0.22, 0.16), (222, 60, 60), scene.flush)
    if has["Heavy_Makeup"]:
        _draw_makeup(scene, pen)
    for side in (-1, 1):
        _draw_eye(scene, has, pen, side)
    _draw_brows(scene, has, pen)
    if has["Mustache"]:
        half = [0.44j, 0.12 + 0.41j, 0.33 + 0.45j, 0.5 + 0.61j, 0.26 + 0.6j, 0.03 + 0.57j]
        pen.fill(smooth(both_sides(half)), scene.beard)
    if has["Goatee"]:
        w = scene.beard_width
        half = [0.78j, 0.6 * w + 0.79j, w + 0.84j, 0.85 * w + 1.0j, 0.4 * w + 1.13j]
        pen.fill(smooth(both_sides(half)), scene.beard)
        pen.line([0.86j, 1.04j], 0.03, _tone(scene.beard, 0.8))
    _draw_nose(scene, has, pen.moved(0.05 * scene.turn))
    _draw_mouth(scene, has, pen)
    if has["Eyeglasses"]:
        _draw_glasses(scene, pen)


def _draw_makeup(scene, pen):
    for radius in (0.2, 0.16, 0.12, 0.08):  # strongest in the middle
        pen.fill_both(ellipse(0.46 + 0.36j, radius * 1.1, radius * 0.8), scene.blush, 50)
    lid = np.array([-0.22 - 0.02j, -0.17 - 0.14j, -0.19j, 0.2 - 0.16j, 0.27 - 0.06j, 0.2])
    pen.fill_both(smooth(scene.eye_x + 0.01j + scene.eye_size * lid), scene.eye_shadow, 200)


def _draw_eye(scene, has, pen, side):
    factor = scene.eye_size
    centre, half = side * scene.eye_x + 0.02j, 0.19 * factor
    height = (0.04 if has["Narrow_Eyes"] else 0.115) * factor
    t = np.linspace(-1, 1, 9)
    upper = centre + half * t - 1j * height * (1 - t**2)
    lower = centre + half * t + 0.75j * height * (1 - t[::-1] ** 2)
    pen.fill(np.concatenate([upper, lower[::-1]]), (244, 242, 240))
    iris = min(0.1 * factor, 0.9 * height)
    look = centre + 0.02 * scene.turn - 0.1j * height
    pen.fill(ellipse(look, 0.1 * factor, iris), scene.iris)
    pen.fill(ellipse(look, 0.05 * factor, min(0.05 * factor, iris)), (12, 10, 12))
    pen.fill(ellipse(look + 0.03 - 0.4j * iris, 0.028, 0.35 * iris), (255, 255, 255))
    pen.line(upper, 0.05, _tone(scene.skin, 0.3))
    pen.line(lower, 0.02, _tone(scene.skin, 0.65))


def _draw_brows(scene, has, pen):
    thick = 0.085 if has["Bushy_Eyebrows"] else 0.026
    across = np.array([-0.21, -0.05, 0.12, 0.27, 0.12, -0.05, -0.21])
    brow = across + 1j * thick * np.array([-0.7, -1, -1, 0.2, 0.6, 0.9, 0.9])
    pen.fill_both(smooth(scene.eye_x + 1j * scene.brow_y + brow * (1 + 1j * scene.brow_slant)), scene.beard)


def _draw_nose(scene, has, pen):
    skin, dark = scene.skin, _tone(scene.skin, 0.58)
    wide, high, tip = (0.3, 0.2, scene.nose_y - 0.02) if has["Big_Nose"] else (0.1, 0.07, scene.nose_y)
    pen.fill([0.02 - 0.06j, 0.55 * wide + tip * 1j, 0.05 + tip * 1j], dark, 110)  # the bridge's shadow
    pen.fill(ellipse(tip * 1j, wide, high), dark)
    pen.fill(ellipse((tip - 0.03) * 1j, 0.84 * wide, 0.86 * high), (skin[0], int(skin[1] * 0.82), int(skin[2] * 0.8)))
    pen.fill(ellipse(-0.15 * wide + (tip - 0.05) * 1j, 0.3 * wide, 0.3 * high), (255, 255, 255), 90)
    pen.fill_both(ellipse(0.48 * wide + (tip + 0.5 * high) * 1j, 0.28 * wide, 0.28 * high), _tone(skin, 0.3))


def _draw_mouth(scene, has, pen):
    y, half, bend = scene.mouth_y, scene.mouth_width, scene.mouth_bend
    if has["Smiling"]:
        half, bend = half + 0.09, bend - 0.29
        crease = [0.26 + 0.36j, 0.4 + 0.46j, half + 0.06 + (y - 0.03) * 1j]
        pen.line_both(crease, 0.045, _tone(scene.skin, 0.65))
    gap = 0.15 if has["Mouth_Slightly_Open"] else 0.0
    t = np.linspace(-1, 1, 13)
    bow = 1 - t**2
    seam = half * t + 1j * (y + bend * (t**2 - 0.3))
    under = seam + 1j * gap * bow
    upper = seam - 0.075j * scene.lips * bow * (1 - 0.35 * np.exp(-((t / 0.2) ** 2)))
    lower = under + 0.1j * scene.lips * bow
    colour = scene.lipstick if has["Wearing_Lipstick"] else scene.bare_lips
    pen.fill(np.concatenate([upper, lower[::-1]]), colour)
    pen.line((under + 0.045j * scene.lips * bow)[4:9], 0.03, _tone(colour, 1.15))
    if gap:
        pen.fill(np.concatenate([seam, under[::-1]]), (60, 12, 18))
        pen.fill(np.concatenate([seam[2:-2], (seam + 0.5j * gap * bow)[-3:1:-1]]), (246, 244, 238))
    else:
        pen.line(seam, 0.03, _tone(colour, 0.5))


def _draw_glasses(scene, pen):
    x, circle = scene.eye_x, ellipse(0, 1, 1)
    if not scene.round_glasses:
        circle = circle / np.maximum(np.abs(circle.real), np.abs(circle.imag)) ** 0.6  # on the way to a square
    ring = 0.29 * circle.real + 0.23j * circle.imag
    pen.fill_both(x + 0.05j + ring, (225, 235, 245), 50)
    for side in (-1, 1):
        pen.ring(ring, side * x + 0.05j, 0.76, scene.frame)
    pen.line_both([x + 0.27, scene.width + 0.02], 0.06, scene.frame)
    pen.line([-x + 0.27, -0.03j, x - 0.27], 0.06, scene.frame)


def _draw_hair(scene, has, pen):
    """The hair on the head, the bangs below the hairline, and the hat, which ends where the bangs begin."""
    hair, dark, w, v = scene.hair, _tone(scene.hair, 0.8), scene.width, scene.hair_volume
    outer = [w + 0.05 - 0.02j, w + 0.5 * v - 0.5j, 0.62 * w + 0.5 * v - 0.95j]
    inner = [0.6 * w - 0.56j, 0.88 * w - 0.36j, 0.95 * w - 0.08j]
    crown, parting = 0.3 * scene.parting - (1.06 + 0.5 * v) * 1j, scene.parting - 0.66j
    pen.fill(smooth([*outer, crown, *mirrored(outer)[::-1], *mirrored(inner)[::-1], parting, *inner]), hair)
    for x in (-0.55, -0.3, 0.0, 0.3, 0.55):
        strand = [scene.parting * 0.6 - 1.02j, x * 0.9 - 0.86j, x * 1.25 - (0.72 - abs(x) * 0.4) * 1j]
        pen.line(strand, 0.03, dark)
    if has["Bangs"]:
        tips = np.linspace(-0.85, 0.85, len(scene.fringe)) * w
        top = [0.92 * w - 0.4j, 0.6 * w - 0.68j, -0.72j, -0.6 * w - 0.68j, -0.92 * w - 0.4j]
        edge = []
        for x, y in zip(tips, scene.fringe, strict=True):
            edge += [x - 0.06 + (y - 0.07) * 1j, x + 0.04 + y * 1j]
        pen.fill([*edge, *top], hair)
        for x in tips:
            pen.line([x * 0.9 - 0.66j, x - 0.44j], 0.025, dark)
    if has["Wearing_Hat"]:
        _draw_hat(scene, pen)


def _draw_hat(scene, pen):
    hat, dark, w = scene.hat, _tone(scene.hat, 0.65), scene.width + scene.hair_volume
    if scene.hat_style == 0:  # with a brim
        pen.fill(smooth(both_sides([-1.34j, 0.4 - 1.36j, 0.72 - 1.22j, 0.85 * w - 0.66j])), hat)
        pen.fill(both_sides([0.86 * w - 0.7j, 0.82 * w - 0.92j]), dark)
        pen.fill(ellipse(-0.7j, w + 0.25, 0.12), hat)
    elif scene.hat_style == 1:  # knitted
        pen.fill(smooth(both_sides([-1.4j, 0.5 * w - 1.34j, 0.95 * w - 1.0j, w - 0.6j])), hat)
        fold = [-0.9j, 0.6 * w - 0.88j, w + 0.02 - 0.78j, w - 0.52j, 0.6 * w - 0.6j, -0.64j]
        pen.fill(smooth(both_sides(fold)), dark)
        pen.fill(ellipse(-1.42j, 0.14, 0.13), dark)
    else:  # a cap
        pen.fill(smooth(both_sides([-1.3j, 0.5 * w - 1.26j, 0.92 * w - 1.0j, 0.98 * w - 0.58j])), hat)
        visor = [-0.84j, 0.5 * w - 0.82j, 0.85 * w - 0.64j, 0.45 * w - 0.62j, -0.62j]
        pen.fill(smooth(both_sides(visor)), dark)
        pen.fill(ellipse(-1.31j, 0.06, 0.04), dark)


def _lit(scene, image):
    """Coloured light from one side, falling off as on a ball, and grain: uint8 (size, size, 3) -> the same."""
    size = len(image)
    place = (np.arange(size, dtype=np.float32) + 0.5) / size
    x = (place - np.float32(scene.centre.real)) / np.float32(abs(scene.unit))
    y = (place - np.float32(scene.centre.imag)) / np.float32(abs(scene.unit))
    right, down = scene.light
    square = np.minimum(x**2 + (y**2)[:, None], np.float32(1.2))
    light = 1 + np.clip(right * x, -0.3, 0.3) + np.clip(down * y, -0.3, 0.3)[:, None] - scene.falloff * (square - 0.4)
    grain = np.random.default_rng(scene.grain_seed).standard_normal((size, size, 1), dtype=np.float32)
    lit = image * (light[..., None] * scene.gain) + np.float32(scene.grain) * grain
    return np.clip(lit + 0.5, 0, 255).astype(np.uint8)


def _pick(rng, colours, *others, distance=0):
    """One of `colours`, varied a little, that differs by `distance` in some channel from each of `others`."""
    if others:
        differences = np.abs(np.array(colours)[:, None] - np.array(others)).max(axis=-1).min(axis=-1)
        colours = [c for c, d in zip(colours, differences, strict=True) if d >= distance] or colours
    colour = colours[rng.integers(len(colours))]
    return tuple(min(255, max(0, c + d)) for c, d in zip(colour, rng.integers(-12, 13, 3).tolist(), strict=True))


def _tone(colour, factor):
    red, green, blue = colour
    return min(255, int(red * factor)), min(255, int(green * factor)), min(255, int(blue * factor))


def _outline(scene, factor):
    """The head: an ellipse whose lower half narrows towards the chin."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x, y = np.cos(t), np.sin(t)
    return factor * (scene.width * x * (1 - scene.jaw * np.maximum(y, 0) ** 2) + 1j * y)
