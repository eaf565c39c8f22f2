"""Where each attribute's most important channels look: their masks laid over images of the split."""

import numpy as np
from PIL import Image

from mam_keras.report import figures
from mam_keras.report.blocks import Cell, Column, Gallery, Missing, Paragraph, Section, Table

NEEDS = ("mask_grids",)
TITLE = "Masks on images"
_LONGEST = 64  # pixels of a picture
_GLOW = np.array([255, 140, 0])  # where a mask is open
_GREYS, _STRENGTHS = 24, 10  # levels of a picture, so few that they all fit a palette


def section(run, others):
    """From the analysis `mask_grids`; `others` are not shown."""
    found = run.results["mask_grids"]
    names, arrays = found.values["attributes"], found.arrays
    reading = (
        "The image in grey, and the mask over it in orange: the stronger, the more open. Every mask is drawn relative "
        "to its own highest value, which stands beneath beside the channel's number, so a mask that is nearly shut "
        "looks as strong as an open one: read the number. A feature sees more of the image than its own place."
    )
    blocks = [*_pair(found), _all(names, arrays)]
    summary = _summary(found)
    answers = "1904.13078, figure 3; 1905.02719, figure 4"
    return Section("mask-grids", TITLE, answers, reading, tuple(blocks), summary)


def _summary(found):
    if "pair.channels" not in found.arrays:
        return ()
    first, second = (found.values["attributes"][k] for k in found.values["pair"])
    used = (found.arrays["pair.ranks"] <= found.values["used"]).all(axis=1)
    shared = found.arrays["pair.channels"][used]
    named = f": {', '.join(map(str, shared))}" if len(shared) else ""
    return (
        f"Of the {found.values['used']} channels that matter most to each, {first} and {second} share "
        f"{len(shared)}{named}; two random choices of {found.values['channels']} would share "
        f"{found.values['used'] ** 2 / found.values['channels']:.1f}.",
    )


def _pair(found):
    """What the two attributes that are compared look at, and which channels they share."""
    if found.values["pair"] is None:
        return (
            Missing(
                "There is no pair of attributes to compare: it takes Smiling and Mouth_Slightly_Open, or masks "
                "per channel of at least three attributes."
            ),
        )
    arrays = found.arrays
    first, second = pair = [found.values["attributes"][k] for k in found.values["pair"]]
    chosen = np.flatnonzero(arrays["pair.chosen"] >= 0)
    rows = [
        (f"{name}, {arrays['ids'][arrays['pair.chosen'][e]]}", _cells(arrays, name, k, e, "pair.", at))
        for e in chosen
        for at, (name, k) in enumerate(zip(pair, found.values["pair"], strict=True))
    ]
    why = "the papers' pair" if found.values["pair_by"] == "papers" else "whose mean masks correlate most"
    caption = (
        f"{first} and {second}, {why}: the most important channels of each on the first images that show both and were "
        "answered so."
    )
    blocks = [Gallery("mask-grids-pair", caption, tuple(rows), 96)] if rows else []
    if "pair.channels" in arrays:
        blocks.append(_shared(found, first, second))
    if found.values["pair_by"] == "papers":
        blocks.append(
            Paragraph(
                "Quoted from the papers, about their own network, whose numbers mean nothing here: features 25, 14 and "
                "50 are used for Smiling and not for Mouth Slightly Open, 105 and 50 for both (50 stands in both "
                "lists), and 8 is not used for Smiling."
            )
        )
    return tuple(blocks)


def _shared(found, first, second):
    arrays, used = found.arrays, found.values["used"]
    rows = []
    for channel, ranks, shares in zip(
        arrays["pair.channels"], arrays["pair.ranks"], arrays["pair.shares"], strict=True
    ):
        by = [name for name, rank in zip((first, second), ranks, strict=True) if rank <= used]
        cells = (value for pair in zip(ranks.tolist(), shares.tolist(), strict=True) for value in pair)
        rows.append((int(channel), "both" if len(by) == 2 else by[0], *cells))
    columns = (
        Column("channel", "integer"),
        Column("used by"),
        Column(f"rank in {first}", "integer"),
        Column(f"share in {first}", "percent"),
        Column(f"rank in {second}", "integer"),
        Column(f"share in {second}", "percent"),
    )
    caption = f"Channels among the {used} most important of {first} or {second}: which they share."
    note = "Rank and share by importance, the mean absolute contribution to the logit."
    return Table("mask-grids-shared", caption, columns, tuple(rows), note)


def _all(names, arrays):
    rows = tuple(
        (name, tuple(cell for e in np.flatnonzero(arrays["chosen"][k] >= 0) for cell in _cells(arrays, name, k, e)))
        for k, name in enumerate(names)
    )
    without = [name for name, cells in rows if not cells]
    caption = (
        f"Every attribute's most important channels on its first {arrays['chosen'].shape[1]} true positives in the "
        "order of the split; where there are too few, on the first positives that its head missed."
    )
    if without:
        caption += f" Without a positive image: {', '.join(without)}."
    return Gallery("mask-grids-all", caption, tuple(row for row in rows if row[1]), 72)


def _cells(arrays, name, k, e, prefix="", at=None):
    """An image and the masks of attribute `k` on it: the e-th that was chosen for it, or for the pair."""
    row = arrays[f"{prefix}chosen"][e] if prefix else arrays["chosen"][k, e]
    correct = arrays[f"{prefix}correct"][e] if prefix else arrays["correct"][k, e]
    masks, highest = (arrays[prefix + array][k if at is None else at, e] for array in ("masks", "highest"))
    image, identifier = arrays["images"][row], str(arrays["ids"][row])
    label = identifier if correct else f"{identifier} (missed)"
    cells = [Cell(figures.png(image, _LONGEST, 128), label, f"Image {label}.")]
    for channel, mask, peak in zip(arrays["channels"][k], masks, highest, strict=True):
        which = "common mask" if channel < 0 else str(channel)
        y, x = np.unravel_index(mask.argmax(), mask.shape)
        alternative = (
            f"{name}, channel {which} on {identifier}: highest {peak:.2g} at row {y}, column {x} of "
            f"{mask.shape[0]} x {mask.shape[1]}."
        )
        cells.append(Cell(figures.png(_overlay(image, mask), colors=256), f"{which} · {_short(peak)}", alternative))
    return tuple(cells)


def _short(value):
    return f"{value:.2f}" if value >= 0.01 else "<0.01"


def _overlay(image, mask):
    """The mask, uint8 (H, W), smoothly over the image, uint8 (S, S, 3), in grey and at most 64 pixels wide."""
    picture = Image.fromarray(image).convert("L")
    picture.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    strength = Image.fromarray(mask).resize(picture.size, Image.Resampling.BILINEAR)
    grey = np.rint(np.asarray(picture) / 255 * _GREYS)[..., None] / _GREYS * 180
    strength = np.rint(np.asarray(strength) / 255 * _STRENGTHS)[..., None] / _STRENGTHS
    return np.rint(grey + 0.75 * strength * (_GLOW - grey)).astype(np.uint8)
