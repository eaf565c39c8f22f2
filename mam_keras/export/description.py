"""What a caller of the served model has to know: the content of `mam_keras.json`, in plain values."""

import keras
import tensorflow as tf

from mam_keras import __version__, offsets, predictions
from mam_keras.data import formats

_SQUARES = {
    "crop": "the centre square, its side the shorter edge, its offset rounded down",
    "pad": "the whole image in the middle of a black square, its longer edge the side, the shorter one rounded up",
    "squash": "the whole image, both its edges resized to the side",
}


def describe(run):
    """Describes the model of a finished `TrainedRun`:

        {"name": the configuration's, "versions": {PACKAGE: version}, "system": name,
         "attributes": K names to display, in the order of the outputs,
         "exclusive": whether exactly one of them holds,
         "preparation": {"image_size": S, "fit": of `data.square`, "square", "orientation", "colours", "resize": texts,
                         "formats": [...], "max_pixels": of an image,
                         "bounds": {what: how many of it an image may have at most; else its row is not valid}},
         "maps": {NAME: {"title": text, "note": what it is and what it is not, "signed": bool}} of `explain`,
         "transformation": {"family": name, "identity": [a, b]}, or null where there are no masks,
         "thresholds": {"default": 0.5, "note": text, "fitted": {OUTPUT: K numbers or nulls}, or null}}

    An export adds {"automatic": what `describe_rule` says, or null}.

    Raises `UserError` where a file of the run is not what `fit` writes.
    """
    network = run.network
    masks = network.masks
    return {
        "name": run.config.name,
        "versions": {"mam_keras": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        "system": run.config.model.system,
        "attributes": list(network.targets.names),
        "exclusive": network.targets.exclusive,
        "preparation": {
            "image_size": network.image_size,
            "fit": run.config.data.fit,
            "square": _SQUARES[run.config.data.fit],
            "orientation": "turned as the image's orientation tag says (Exif in JPEG, PNG, WebP)",
            "colours": "colour tables looked up, transparency dropped, CMYK converted, the upper 8 of 16 bits, "
            "embedded profiles not applied",
            "resize": "bilinear, antialiased, rounded to whole grey levels: RGB, uint8",
            "formats": list(formats.FORMATS),
            "max_pixels": formats.MAX_PIXELS,
            "bounds": formats.BOUNDS,
        },
        "maps": network.described,
        "transformation": masks and {"family": masks.family, "identity": list(masks.identity)},
        "thresholds": {"default": predictions.THRESHOLD, **_fitted(run)},
    }


def describe_rule(rule):
    """What `classify_automatic` does, from an `analysis.rule.Rule`: of J levels of noise, by rising sigma,

    {"note": text, "sigmas": J numbers, "levels": J numbers, the estimates, "boundaries": J - 1 estimates,
     "pairs": J of [a, b], "offsets": J of K numbers, added to the logits}
    """
    return {
        "note": "an image gets the pair and offsets of the level that its own estimated noise is nearest to; chosen on "
        "validation images under Gaussian noise of these sigmas, for the highest balanced accuracy at the default "
        "threshold; the identity where no pair is measurably better",
        "sigmas": rule.sigmas.tolist(),
        "levels": rule.levels.tolist(),
        "boundaries": rule.boundaries.tolist(),
        "pairs": rule.pairs.tolist(),
        "offsets": rule.offsets.tolist(),
    }


def _fitted(run):
    """Thresholds under the names of the signatures' outputs, and on what they were chosen or why they were not."""
    if run.config.data.train_on_validation:
        return {"fitted": None, "note": "not fitted: the model was trained on the validation images"}
    if run.targets.exclusive:
        return {"fitted": None, "note": "not fitted: the most probable class is the answer"}
    found = run.predictions("validation")
    if found is None:
        return {"fitted": None, "note": "not fitted: the data have no validation images"}
    return {
        "fitted": {
            "probabilities" if head == "attributes" else head: offsets.thresholds(found.labels, values, found.known)
            for head, values in found.probabilities.items()
        },
        "note": f"fitted on {len(found.ids):,} validation images, for the highest balanced accuracy of each attribute; "
        "they hold for masks that are not transformed",
    }
