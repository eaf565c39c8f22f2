"""Where is a network to look? From a file of regions to what a batch says of it. Imports no TensorFlow by itself."""

import json

import numpy as np

from mam_keras.data import composed, places, some
from mam_keras.errors import UserError
from mam_keras.files import digest_of


def require_known(config, attributes):
    """Raises `UserError` unless the section `loss` says for known attributes where they are, as far as it has to."""
    loss = config.loss
    places.require_attributes("loss.directed", map(composed, loss.directed or ()), attributes)
    asking = {"loss.localisation": loss.localisation, "data.region_only": config.data.region_only}
    key, value = next(((key, value) for key, value in asking.items() if value), (None, 0))
    if not value:
        return
    if not places.aligned(config.data, loss.regions):
        raise UserError(
            f"{key}: expected 0, or a file that says where attributes are in these images (loss.regions). "
            f"Received: {value:g}"
        )
    places.read(loss.regions, config.data)


def digest_of_regions(config):
    """What the file of regions says, and the masks that it names, as a digest; None where nobody asks for it."""
    asked = config.loss.localisation or config.data.region_only
    if not asked or not places.aligned(config.data, config.loss.regions):
        return None
    found = places.settings_of(places.read(config.loss.regions, config.data), config.data)
    return digest_of(json.dumps(found, sort_keys=True))


def guide(config, network, train):
    """Gives a network the term that `loss.localisation` weighs; says for which attributes no region is known.

    Returns `augmentation.Blocks`, where the attributes are in training images, as that term takes it.
    """
    from mam_keras.data.augmentation import Augmentation, Blocks
    from mam_keras.model import guidance

    loss, attributes = config.loss, network.targets.names
    look = guidance.look(network, loss)
    if look is None:
        raise UserError(
            f"loss.localisation: expected 0: this network has no map {loss.localisation_map!r} for "
            f"loss.localisation_by: {loss.localisation_by} of each of {len(attributes)} targets. "
            f"Received: {loss.localisation:g}"
        )
    given = places.read(loss.regions, config.data), config.data, attributes, train.ids
    regions = places.template(*given)
    first = loss.localisation_images or len(train)
    own = {(row, k): np.packbits(region) for (row, k), region in places.of_images(*given) if row < first}
    placed, weights = regions.any(axis=(1, 2)), loss.attribute_weights(attributes)[:, 1]
    placed[[k for _, k in own]] = True
    lacking = [name for name, there, weight in zip(attributes, placed, weights, strict=True) if weight and not there]
    if not placed.any() or (lacking and loss.directed is not None):
        wanted = "each attribute of loss.directed" if placed.any() else "at least one of the data's attributes"
        among = "" if loss.localisation_images is None else f" in the first {first} training images"
        raise UserError(f"loss.regions: expected a region for {wanted}{among}. Received: none for {some(lacking)}")
    if lacking:
        print(f"note: without a region, so that their maps are left alone: {some(lacking)}")
    if own:
        print(f"note: regions of their own have {len({row for row, _ in own}):,} training images")
    paid = np.flatnonzero(placed & (weights > 0) if look.each or loss.directed is not None else weights)
    network.terms += (
        guidance.localisation_term(look, loss, paid, None if loss.directed is None else weights[paid].tolist()),
    )
    order = {k: place for place, k in enumerate(paid.tolist())}
    own = {(row, order[k]): region for (row, k), region in own.items() if k in order}
    return Blocks(np.moveaxis(regions[paid], 0, -1), look.grid, Augmentation.of(config.data), own)


def region_only(config, targets, train):
    """`augmentation.RegionOnly` for `data.region_only`: of the attributes of `loss.directed`, else of all."""
    from mam_keras.data.augmentation import RegionOnly

    loss, attributes = config.loss, targets.names
    if targets.exclusive:
        raise UserError(
            "data.region_only: expected 0 where classes exclude each other: an image says something of all of them. "
            f"Received: {config.data.region_only:g}"
        )
    given = places.read(loss.regions, config.data), config.data, attributes, train.ids
    regions, own = places.template(*given), {}
    for (row, k), region in places.of_images(*given):
        own.setdefault(row, {})[k] = np.packbits(region)
    placed = regions.any(axis=(1, 2))
    placed[[k for marked in own.values() for k in marked]] = True
    directed = set(map(composed, loss.directed or attributes))
    shown = placed & np.isin(attributes, list(directed))
    lacking = [name for name, there in zip(attributes, shown, strict=True) if name in directed and not there]
    if not shown.any() or (lacking and loss.directed is not None):
        raise UserError(f"loss.regions: expected a region for data.region_only. Received: none for {some(lacking)}")

    def union(marked):
        each = regions.copy()
        for k, bits in marked.items():
            each[k] = np.unpackbits(bits, count=each[k].size).reshape(each[k].shape)
        return each[shown].any(axis=0)

    return RegionOnly(union({}), shown, {row: np.packbits(union(marked)) for row, marked in own.items()})


def class_weights(config, targets, rates):
    """What the heads' cross-entropies weigh classes by, as `losses.classification` takes it; None for ones.

    Balanced by the rates, (K,), where `loss.class_weights` says so; times w_a of `loss.directed`.
    """
    from mam_keras.model.losses import balanced_class_weights

    loss = config.loss
    balanced = balanced_class_weights(targets, rates) if loss.class_weights == "balanced" else None
    if loss.directed is None:
        return balanced
    count = len(targets.names)
    each = np.ones(count if targets.exclusive else (count, 2)) if balanced is None else np.array(balanced)
    return (each.T * loss.attribute_weights(targets.names)[:, 0]).T.tolist()
