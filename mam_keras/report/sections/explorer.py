"""One image at a time: its maps, its probabilities and its most important channels, of the split and of the user's."""

import zlib

import numpy as np

from mam_keras.analysis.examples import DEPTH
from mam_keras.analysis.photographs import by_reason
from mam_keras.data import some
from mam_keras.report import figures, wording
from mam_keras.report.blocks import Explorer, Look, Missing, Paragraph, Section, ShownMap

NEEDS = ()
TITLE = "Explorer"
NAMED = 10  # files of the user's folder at most in one sentence
LONGEST = 128  # pixels of a picture
MOST = 6_000_000  # bytes of maps and masks, before they are compressed


def section(run, others):
    """From the analyses `examples` and, where the user gave a folder, `photographs`; `others` are not shown."""
    found = {name: run.results[name] for name in ("examples", "photographs") if name in run.results}
    blocks = [
        Missing(f"{title}: {run.missing[name]}.")
        for name, title in (("examples", "No images to explore"), ("photographs", "No photographs of yours"))
        if name in run.missing
    ]
    if not found:
        return Section("explorer", TITLE, "", "", tuple(blocks))
    first = next(iter(found.values()))
    blocks += [*_paragraphs(found, wording.target(first.values["exclusive"])), _explorer(found)]
    return Section("explorer", TITLE, "", _reading(first), tuple(blocks))


def _reading(result):
    values, arrays, target = result.values, result.arrays, wording.target(result.values["exclusive"])
    last = "a map and a pair (a, b)" if values["pairs"] else "and a map"
    text = f"Choose {'an' if target == 'attribute' else 'a'} {target}, an image{',' if values['pairs'] else ''} {last}."
    if values["exclusive"]:
        text += " Probabilities of all classes add up to 1, and the most probable class is the answer."
    text += " A position of a map stands for the block of pixels under it, and a feature sees more of the image."
    if values["pooled"]:
        text += f" Of contributions the logit is a bias plus their {_pooled(*values['pooled'])}."
    if "channels" in arrays:
        text += " Channels are ranked by what they add in this image"
        text += "; where a mask is open is green, relative to its own highest value." if "masks" in arrays else "."
    return text


def _pooled(share, sharpness):
    kind = "mean" if sharpness is None else f"log-sum-exp of sharpness {sharpness:g}, a soft maximum,"
    return kind if share == 1 else f"{kind} over the highest {100 * share:g} % of the positions"


def _paragraphs(found, target):
    texts = []
    if "examples" in found:
        texts.append(
            f"The images of the {found['examples'].values['split']} split are chosen by their labels alone: one after "
            f"the other, the one with the most {target}{'es' if target == 'class' else 's'} that none before it has. A "
            f"dot marks those that are labelled with the chosen {target}."
        )
    if "photographs" in found:
        texts.append(
            "Your photographs are prepared as all images are: turned as their orientation tags say, made square and "
            f"small. {_unlike(found['photographs'])}"
        )
        left_out = by_reason(found["photographs"].values["left_out"])
        if left_out:
            told = "; ".join(f"{some(names, NAMED)} ({why})" for why, names in left_out.items())
            texts.append(f"Left out of your folder: {told}.")
    return map(Paragraph, texts)


def _unlike(result):
    """How many photographs are marked as unlike the network's images, by which rule, and how often that is wrong."""
    told = result.values.get("likeness", {"why": "they were looked at by an earlier version"})
    always = "A network answers whatever it is shown"
    if "why" in told:
        return f"{always}; whether they are like the images that it was trained for was not judged: {told['why']}."
    wrong = (
        "" if told["alarms"] is None else f", as {100 * told['alarms']:.1f} % of its own {told['images']:,} images are"
    )
    names = result.arrays["ids"][result.arrays["unlike"]]
    which = f"{len(names)} of {len(result.arrays['ids'])}" + (f" ({some(names, NAMED)})" if len(names) else "")
    return (
        f"{always}. Unlike the images that it was trained for, and marked so, are {which}: their features are further "
        f"from those of {told['references']:,} {told['split']} images, by one of two distances, than a bound that 1 % "
        f"of others exceed{wrong}. What is not marked may be unlike in ways that the features do not show."
    )


def _explorer(found):
    first = next(iter(found.values()))
    values, arrays = first.values, first.arrays
    most = max(1, MOST // sum(_bytes(result) for result in found.values()))
    titles = {"examples": "Images of the split", "photographs": "Your photographs"}
    maps = ((one, arrays[f"map.{name}"].shape[1:]) for name, one in values["maps"].items())
    return Explorer(
        "explorer-images",
        tuple(values["attributes"]),
        values["exclusive"],
        tuple(wording.begun(wording.head(head, values["exclusive"])) for head in values["heads"]),
        tuple(ShownMap(wording.begun(one["title"]), one["note"], one["signed"], size) for one, size in maps),
        sum(name.startswith(DEPTH) for name in values["maps"]),
        tuple(_named(pair, values["pairs"][0]) for pair in values["pairs"]),
        arrays["masks"].shape[-2:] if "masks" in arrays else (1, 1),
        tuple((titles[name], tuple(_looks(result, most))) for name, result in found.items()),
    )


def _drawn(result):
    """What is drawn of every image, in this order."""
    names = [*(f"map.{name}" for name in result.values["maps"]), "masks"]
    return [result.arrays[name] for name in names if name in result.arrays]


def _bytes(result):
    """Of an image's maps and masks."""
    return sum(array[0].nbytes for array in _drawn(result))


def _named(pair, identity):
    name = "({:g}, {:g})".format(*pair)
    return f"{name} identity" if pair == identity else f"{name} no masks" if pair[0] == 0 else name


def _looks(result, most):
    values, arrays = result.values, result.arrays
    images, targets = arrays["answers"].shape[:2]
    none = np.empty((images, targets, 0), int)
    for row in range(min(images, most)):
        yield Look(
            title=str(arrays["ids"][row]),
            picture=figures.png(arrays["images"][row], LONGEST, colors=128),
            labels=_labels(arrays, row) if "labels" in arrays else None,
            unlike=bool(arrays["unlike"][row]) if "unlike" in arrays else False,
            probabilities=_rounded(arrays["probabilities"][row]),
            answers=arrays["answers"][row].tolist(),
            others=[_rounded(arrays[f"head.{head}"][row]) for head in values["heads"][1:]],
            scales=[_rounded(arrays[f"scale.{name}"][row]) for name in values["maps"]],
            channels=arrays.get("channels", none)[row].tolist(),
            shares=_rounded(arrays.get("shares", none)[row]),
            highest=_rounded(arrays.get("highest", none)[row]),
            packed=zlib.compress(b"".join(array[row].tobytes() for array in _drawn(result)), 9),
        )


def _labels(arrays, row):
    return [
        bool(yes) if known else None for yes, known in zip(arrays["labels"][row], arrays["known"][row], strict=True)
    ]


def _rounded(values):
    """To five significant digits: maps differ in their scale by orders of magnitude."""
    return [_rounded(one) for one in values] if values.ndim else float(f"{values:.5g}")
