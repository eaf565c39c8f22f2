"""Pictures of what a network looks at: exact contributions and Grad-CAM. Knows no system, no data and no page.

A map has a value for every position of a grid, and a position stands for the block of pixels under it. Maps of
different grids are compared `on_grid` of one of them.
"""

import keras
import numpy as np
from keras import ops

from mam_keras.model.network import Map

SEEN_SHARE = 1 / 3  # of the image's side, which a position may see at most where its contribution is spread over that
GRAD_CAM_NOTE = (
    "The features, weighted by how the logit would change with each channel's mean, positive part (Selvaraju et al. "
    "2017). It says where channels that matter are active, not what each place adds."
)


def contribution_maps(network, by_field=True):
    """{name: `Map`} of a network that has `contributions`, its own map first.

    `by_field`: whether what a position adds depends on nothing but the pixels that its features see.

    contributions: s^k_p of the head that answers, what each position of the features adds to the logit, of either sign.

    seen: the same, shared among the pixels that a position sees. Block q of the image gets

        m^k_q = sum_p u_{q,p} s^k_p,   sum_q u_{q,p} = 1

    where u_{q,p} is block q's share of the receptive field of p, a square about the middle of p's block as far as it
    lies in the image (`fields`). Covering a place takes evidence from all positions that see it: that is what this map
    adds up. Where a position sees more than `SEEN_SHARE` of the image's side, it would be a blur and is left out.
    """
    found = {"contributions": _contributions(network)}
    if by_field and (share := sharing(network)) is not None:
        found["seen"] = _seen(network, found["contributions"], share)
    return found


def sharing(network):
    """How contributions (n, H, W, K) become "seen", as a function; None where features see too much for that."""
    field = network.stages[-1].receptive_field
    if field is None or field > SEEN_SHARE * network.image_size:
        return None
    rows, columns = (fields(network.image_size, positions, field) for positions in network.grid)
    return lambda maps: ops.einsum("ip,npqk,jq->nijk", rows, maps, columns)


def _contributions(network):
    own = network.contributions
    learned = " Which positions count was learned, the same for all images." if network.positions else ""
    return Map(
        "contributions",
        "What each position of the features adds to the logit, of either sign: an exact part of the answer. A feature "
        f"sees more of the image than its own place.{learned}",
        True,
        lambda images: own.scores(own.features(images)),
        lambda images, features, k: ops.sum(own.of_channels(features, k), axis=-1),
    )


def _seen(network, contributions, share):
    field = network.stages[-1].receptive_field
    return Map(
        "contributions over what is seen",
        f"What each position adds to the logit, of either sign, shared among the {field} x {field} pixels that it "
        "sees: how much of the answer can come from a place. It adds up to the same logit.",
        True,
        lambda images: share(contributions.show(images)),
        lambda images, features, k: share(contributions.of(images, features, k)[..., None])[..., 0],
    )


def fields(image_size, positions, field):
    """Along one side, the share of each position's receptive field that lies in each block of pixels.

    A field is `field` pixels about the middle of its position's block, as far as they lie in the image: float32
    (positions, positions), block by position; each position's shares sum to 1.
    """
    edges = np.linspace(0, image_size, positions + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    ends = np.minimum(edges[1:, None], middles + field / 2)
    shares = np.maximum(ends - np.maximum(edges[:-1, None], middles - field / 2), 0)
    return np.float32(shares / shares.sum(axis=0))


def linear_grad_cam(network, kernel, title="Grad-CAM", targets_axis=1):
    """Grad-CAM of a linear unit on pooled features, in closed form: ReLU(sum_c w_{c,k} F_{p,c}).

    Where the logit is a mean over positions, over the highest ones, or a log-sum-exp of the unit at each of them, the
    gradients of the positions sum to the unit's weights: a^k_c = w_{c,k} / P is a column of the kernel, but for the
    factor 1 / P, which no measure sees.

    Args:
        kernel: (C, K), or (K, C) where `targets_axis` is 0.
    """

    def show(images):
        features = ops.cast(network.features(images), "float32")
        return ops.relu(ops.tensordot(features, kernel, axes=[[3], [1 - targets_axis]]))

    def of(images, features, k):
        return ops.relu(ops.matmul(ops.cast(features, "float32"), ops.take(kernel, k, axis=targets_axis)))

    return Map(title, GRAD_CAM_NOTE, False, show, of)


def grad_cam(network):
    """Grad-CAM of the head that answers, at the features (Selvaraju et al. 2017); `by_depth` has it at other stages.

        L^k_p = ReLU(sum_c a^k_c F_{p,c}),   a^k_c = 1/P sum_p d logit_k / d F_{p,c}

    What is differentiated by is a shift of each channel, the same at all positions, so that no more is kept of K
    backward passes than a. Where `Network.logit_of` tells a target's logit from the others', each of them goes through
    that logit alone; otherwise through all of them.
    """
    import tensorflow as tf

    above = keras.Model(network.outputs["features"], network.outputs[network.main_head])
    targets = len(network.targets.names)

    def weigh(features, derivative):
        """ReLU(sum_c a_c F_{p,c}) of the derivative (n, 1, 1, C) of a logit by the shift: (n, H, W)."""
        positions = features.shape[1] * features.shape[2]
        features, derivative = (tf.cast(array, tf.float32) for array in (features, derivative))
        return tf.nn.relu(tf.reduce_sum(features * derivative, axis=-1) / positions)

    def of_one(features, logit):
        shift = tf.zeros_like(features[:, :1, :1])
        with tf.GradientTape() as tape:
            tape.watch(shift)
            value = logit(features + shift)
        return weigh(features, tape.gradient(value, shift))

    def of(images, features, k):
        if network.logit_of is not None:
            return of_one(features, lambda shifted: network.logit_of(shifted, k))
        return of_one(features, lambda shifted: above(shifted, training=False)[:, k])

    def show(images):
        features = network.features(images)
        if network.logit_of is not None:
            maps = tf.map_fn(lambda k: of(images, features, k), tf.range(targets), fn_output_signature=tf.float32)
        else:
            shift = tf.zeros_like(features[:, :1, :1])
            with tf.GradientTape(persistent=True) as tape:  # without a graph, a loop asks for it
                tape.watch(shift)
                sums = tf.reduce_sum(above(features + shift, training=False), axis=0)  # images do not see each other
            derivatives = tape.jacobian(sums, shift, experimental_use_pfor=False)
            maps = tf.map_fn(lambda one: weigh(features, one), derivatives, fn_output_signature=tf.float32)
        return tf.transpose(maps, (1, 2, 3, 0))

    return Map("Grad-CAM", GRAD_CAM_NOTE, False, show, of)


def by_depth(network):
    """What each of a network's stages shows (1901.10042, figures 2 to 4; it does not say how: our reading).

        activation  1/C sum_c |x_{p,c}|                    of the stage's output x, whatever the target
        Grad-CAM    ReLU(sum_c a_c x_{p,c}), a_c = 1/P sum_p d logit_k / d x_{p,c}

    One pass forward and one back serve all stages. The derivative takes every way from the stage's output to the
    logit, and no way around it: where attention of an early stage weighs a later one, not that one's mask.

    Returns:
        A function of images float32 (n, S, S, 3) and k: two lists, with a map float32 (n, H', W') for each stage.
    """
    import tensorflow as tf

    ends = [network.outputs["features"], network.outputs[network.main_head]]
    model = keras.Model(network.model.input, [*network.by_stage.outputs, *ends])

    def look(images, k):
        with tf.GradientTape() as tape:
            tape.watch(images)
            *outputs, features, logits = model(images, training=False)
            logit = logits[:, k] if network.logit_of is None else network.logit_of(features, k)
        activations, cams = [], []
        for output, gradient in zip(outputs, tape.gradient(logit, outputs), strict=True):
            output, gradient = (tf.cast(array, tf.float32) for array in (output, gradient))
            weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
            cams.append(tf.nn.relu(tf.reduce_sum(weights * output, axis=-1)))
            activations.append(tf.reduce_mean(tf.abs(output), axis=-1))
        return activations, cams

    return look


def of_target(one, images, features, k):
    """A `Map` for one target: images (n, S, S, 3), `Network.features` of them, and k -> float32 (n, H, W)."""
    if one.of is not None:
        return one.of(images, features, k)
    shown = one.show(images)
    return shown[..., 0 if shown.shape[-1] == 1 else k]


def on_grid(values, grid):
    """A map on another grid: (n, H, W) -> float32 (n, *grid), bilinear; of a finer map a position takes its share."""
    if tuple(values.shape[1:]) == tuple(grid):
        return ops.cast(values, "float32")
    values = ops.cast(values, "float32")[..., None]
    return ops.image.resize(values, grid, interpolation="bilinear", antialias=True, data_format="channels_last")[..., 0]
