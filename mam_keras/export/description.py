"""What a caller of the served model has to know: the content of `mam_keras.json`, in plain values."""

import json

import keras
import tensorflow as tf

from mam_keras import __version__, evaluation, thresholds
from mam_keras.data import decoding
from mam_keras.errors import UserError
from mam_keras.model.pooling import Column
from mam_keras.model.transformation import FAMILIES


def describe(config, directory, model):
    """Describes the model of a finished `RunDirectory`:

        {"name": the configuration's, "versions": {PACKAGE: version},
         "attributes": K names to display, in the order of the outputs,
         "preparation": {"image_size": S, "square": text, "resize": text, "formats": [...], "max_pixels": of an image},
         "transformation": {"family": name, "identity": [a, b]}, or null where there are no masks,
         "thresholds": {"default": 0.5, "note": text, "fitted": {OUTPUT: K numbers or nulls}, or null}}

    An export adds {"automatic": what `describe_rule` says, or null}.

    Raises `UserError` where a file of the run is not what `fit` writes, or nothing names the attributes.
    """
    layers = {layer.name: layer for layer in model.layers}
    outputs = {"attributes": "attribute.probabilities", "multi_label": "multi_label"}
    heads = [head for head, layer in outputs.items() if layer in layers]
    family = getattr(layers.get("attribute_scores"), "family", None)
    return {
        "name": config.name,
        "versions": {"mam_keras": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        "attributes": _attributes(config, directory.evaluation, model, layers[outputs[heads[0]]].output.shape[1]),
        "preparation": {
            "image_size": model.input_shape[1],
            "square": "the centre square, its side the shorter edge, its offset rounded down",
            "resize": "bilinear, antialiased, rounded to whole grey levels: RGB, uint8",
            "formats": list(decoding.FORMATS),
            "max_pixels": decoding.MAX_PIXELS,
        },
        "transformation": family and {"family": family, "identity": list(FAMILIES[family].identity)},
        "thresholds": {"default": evaluation.THRESHOLD, **_fitted(config, directory.predictions, heads)},
    }


def describe_rule(rule):
    """What `classify_automatic` does, from an `adaptation.Rule`: of J levels of noise, by rising sigma,

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


def _attributes(config, path, model, count):
    """As evaluated; where there was nothing to evaluate on, as configured or as the model's outputs are called."""
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))["splits"]
        evaluated = [list(next(iter(split["heads"].values()))["per_attribute"]) for split in splits.values()]
    except (OSError, ValueError, KeyError, AttributeError, StopIteration) as error:
        raise UserError(f"{path}: expected the evaluation of a finished run. Received: {error!r}") from None
    columns = sorted((layer for layer in model.layers if isinstance(layer, Column)), key=lambda layer: layer.index)
    called = [layer.name for layer in columns]
    names = next((list(found) for found in (*evaluated, config.data.attributes, called) if found), [])
    if len(names) != count:
        raise UserError(f"{path}: expected the names of the model's {count} attributes. Received: {len(names)}")
    return names


def _fitted(config, path, heads):
    """Thresholds under the names of the signatures' outputs, and on what they were chosen or why they were not."""
    if config.data.train_on_validation:
        return {"fitted": None, "note": "not fitted: the model was trained on the validation images"}
    read = thresholds.read_validation(path, heads)
    if read is None:
        return {"fitted": None, "note": "not fitted: the data have no validation images"}
    labels, probabilities = read
    return {
        "fitted": {
            "probabilities" if head == "attributes" else head: thresholds.fit(labels, values)
            for head, values in probabilities.items()
        },
        "note": f"fitted on {len(labels):,} validation images, for the highest balanced accuracy of each attribute; "
        "they hold for masks that are not transformed",
    }
