"""Where each target's most important channels look: their masks laid over images of the split."""

import numpy as np
from PIL import Image

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Cell, Column, Gallery, Missing, Paragraph, Section, Table

NEEDS = ("mask_grids",)
TITLE = "Masks on images"
_LONGEST = 56  # pixels of a picture
_GLOW = np.array([255, 140, 0])  # where a mask is open
_FIRST = {  # `mask_grids`: which channels are shown
    "important": "most important channels",
    "open": "most open channels (what follows the masks is no sum over channels, so none has an importance)",
    "common": "mask",
}
_REASONS = {  # why a pair is compared
    "papers": "the papers' pair",
    "only": "the only pair",
    "correlation": "whose mean masks correlate most",
}
_GREYS, _STRENGTHS = 12, 8  # levels of a picture, so few that they all fit a palette


def section(run, others):
    """From the analysis `mask_grids`; `others` are not shown."""
    found = run.results["mask_grids"]
    names, arrays = found.values["attributes"], found.arrays
    reading = (
        "The image in grey, and the mask over it in orange: the stronger, the more open. Every mask is drawn relative "
        "to its own highest value, which stands beneath beside the channel's number, so a mask that is nearly shut "
        "looks as strong as an open one: read the number. A feature sees more of the image than its own place."
    )
    if "maps" in arrays:
        reading += (
            " First stands the map, what all channels add up to. A channel that matters can be open where the map "
            "shows nothing: it adds its mask times its feature times its weight, which is nothing where its feature is "
            "silent, and it is one of many."
        )
    which, exclusive = _FIRST[found.values["first"]], run.targets.exclusive
    blocks = [*_pair(found, which, exclusive), _all(names, arrays, which, wording.target(exclusive))]
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
        f"{len(shared)}{named}; of {found.values['channels']} channels, two choices at random would share "
        f"{found.values['used'] ** 2 / found.values['channels']:.1f} on average.",
    )


def _pair(found, which, exclusive):
    """What the two targets that are compared look at, and which channels they share."""
    if found.values["pair"] is None:
        why = "neither the papers' Smiling and Mouth_Slightly_Open nor two whose masks correlate"
        if exclusive:
            why = "no two have masks that correlate"
        return (Missing(f"There is no pair of {wording.targets(exclusive)} to compare: {why}."),)
    arrays = found.arrays
    first, second = (found.values["attributes"][k] for k in found.values["pair"])
    rows = []
    for look in np.flatnonzero(arrays["of_pair"]):
        name = found.values["attributes"][arrays["attribute"][look]]
        rows.append((f"{name}, {arrays['ids'][arrays['image'][look]]}", _cells(arrays, name, look)))
    caption = (
        f"{first} and {second}, {_REASONS[found.values['pair_by']]}: the {which} of each on the first images that show "
        "both and were answered so."
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
    reason = _REASONS[found.values["pair_by"]]
    caption = f"Channels among the {used} most important of {first} or {second}, {reason}: which they share."
    note = "Rank and share by importance, the mean absolute contribution to the logit."
    return Table("mask-grids-shared", caption, columns, tuple(rows), note)


def _all(names, arrays, which, noun):
    cells = {name: [] for name in names}
    for look in np.flatnonzero(~arrays["of_pair"]):
        name = names[arrays["attribute"][look]]
        cells[name] += _cells(arrays, name, look)
    without = [name for name in names if not cells[name]]
    caption = (
        f"Every {noun}'s {which} on its first true positives in the order of the split; where there are too few, on "
        "the first positives that the network missed."
    )
    if without:
        caption += f" Without a positive image: {', '.join(without)}."
    return Gallery("mask-grids-all", caption, tuple((name, tuple(row)) for name, row in cells.items() if row), 72)


def _cells(arrays, name, look):
    """The map of one attribute on an image, or the image where there is none, and beside it the masks."""
    row, masks, highest = arrays["image"][look], arrays["masks"][look], arrays["highest"][look]
    image, identifier = arrays["images"][row], str(arrays["ids"][row])
    label = identifier if arrays["correct"][look] else f"{identifier} (missed)"
    cells = [Cell(figures.png(image, _LONGEST, 128), label, f"Image {label}.")]
    if "maps" in arrays:
        whole = figures.png(_overlay(image, arrays["maps"][look]), colors=256)
        cells = [Cell(whole, f"map · {label}", f"{name} on {label}: the map, what all channels add up to.")]
    for channel, mask, peak in zip(arrays["channels"][arrays["attribute"][look]], masks, highest, strict=True):
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
