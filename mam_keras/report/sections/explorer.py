"""One image at a time: its map, its probabilities and its most important channels, of the split and of the user's."""

import zlib

import numpy as np

from mam_keras.data import some
from mam_keras.report import figures
from mam_keras.report.blocks import Explorer, Look, Missing, Paragraph, Section

NEEDS = ()
TITLE = "Explorer"
LONGEST = 128  # pixels of a picture
MOST = 6_000_000  # bytes of maps and masks, before they are compressed


def section(run, others):
    """From the analyses `examples` and, where the user gave a folder, `photographs`; `others` are not shown."""
    reading = (
        "Choose an attribute, an image and a pair (a, b). The map says what each position of the feature map adds to "
        "the attribute's logit: the logit is a bias plus their "
        f"{_pooled(run.config.model)}. A feature sees more of the image than its own place. Channels "
        "are ranked by what they add in this image; where a mask is open is green, relative to its own highest value."
    )
    found = {name: run.results[name] for name in ("examples", "photographs") if name in run.results}
    blocks = [
        Missing(f"{title}: {run.missing[name]}.")
        for name, title in (("examples", "No images to explore"), ("photographs", "No photographs of yours"))
        if name in run.missing
    ]
    if found:
        blocks += _paragraphs(found)
        blocks.append(_explorer(found))
    return Section("explorer", TITLE, "", reading, tuple(blocks))


def _pooled(model):
    share, sharpness = model.pooled_share, model.pooling_sharpness
    kind = "mean" if sharpness is None else f"log-sum-exp of sharpness {sharpness:g}, a soft maximum,"
    return kind if share == 1 else f"{kind} over the highest {100 * share:g} % of the positions"


def _paragraphs(found):
    texts = []
    if "examples" in found:
        texts.append(
            f"The images of the {found['examples'].values['split']} split are chosen by their labels alone: one after "
            "the other, the one with the most attributes that none before it has. A dot marks those that are labelled "
            "with the chosen attribute."
        )
    if "photographs" in found:
        texts.append(
            "Your photographs are prepared as all images are: the centre square is taken and made small, and "
            "orientation tags are not followed. The answers mean something only where a photograph is like the images "
            "that the network was trained on."
        )
        left_out = [f"{name} ({why})" for name, why in found["photographs"].values["left_out"]]
        if left_out:
            texts.append(f"Left out of your folder: {some(left_out, 20)}.")
    return map(Paragraph, texts)


def _explorer(found):
    first = next(iter(found.values()))
    grid = first.arrays["maps"].shape[-2:]
    most = max(1, MOST // sum(_bytes(result) for result in found.values()))
    titles = {"examples": "Images of the split", "photographs": "Your photographs"}
    return Explorer(
        "explorer-images",
        tuple(first.values["attributes"]),
        tuple(_named(pair, first.values["pairs"][0]) for pair in first.values["pairs"]),
        grid,
        tuple((titles[name], tuple(_looks(result, most))) for name, result in found.items()),
    )


def _bytes(result):
    """Of an image's maps and masks."""
    return sum(result.arrays[name][0].nbytes for name in ("maps", "masks") if name in result.arrays)


def _named(pair, identity):
    name = "({:g}, {:g})".format(*pair)
    return f"{name} identity" if pair == identity else f"{name} no masks" if pair[0] == 0 else name


def _looks(result, most):
    arrays = result.arrays
    images, attributes = arrays["maps"].shape[:2]
    masks = arrays.get("masks", np.empty((images, attributes, 0), np.uint8))
    highest = arrays.get("highest", np.empty((images, attributes, 0)))
    for row in range(min(images, most)):
        yield Look(
            title=str(arrays["ids"][row]),
            picture=figures.png(arrays["images"][row], LONGEST, colors=256),
            labels=arrays["labels"][row].tolist() if "labels" in arrays else None,
            probabilities=_rounded(arrays["probabilities"][row]),
            multi_label=_rounded(arrays["multi_label"][row]) if "multi_label" in arrays else None,
            scales=_rounded(arrays["scales"][row]),
            channels=arrays["channels"][row].tolist(),
            shares=_rounded(arrays["shares"][row]),
            highest=_rounded(highest[row]),
            packed=zlib.compress(arrays["maps"][row].tobytes() + masks[row].tobytes(), 9),
        )


def _rounded(values):
    return np.round(values.astype(float), 5).tolist()
