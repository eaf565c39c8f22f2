"""Shareable attention: one bottom-up top-down structure gives masks to several stages (Xie, Chen, Zhang & Xue,
arXiv 1901.10042).

    h = x_0 + hourglass(x_0);      M_s = mask(h_s);      stage s passes on M_s x_s or (1 + M_s) x_s

x_s is the output of stage s, x_0 that of the early one, and h_s is h on the grid of stage s. M_s has as many channels
as x_s. The paper says "an unified bottom-up top-down structure", "different scale of attentions [...] from the sharable
structure", "two 1x1 convolutional layers are added from the structure, followed by sigmoid activation", and that a
mask is "multiplied" with its features. All else is our reading: where the structure begins and what it is made of (the
hourglass of 1704.06904, halving twice), normalisation, how it comes to a stage's grid (means of blocks), and 1 + M,
with which a mask of zeros loses nothing. The paper puts attention at an early, a middle or a later stage of
Inception-v1: behind 3b, 4e and 5b.

Behind the last stage stand pooling and a linear unit for each target: without attention this is `plain`.
"""

from typing import ClassVar, Literal

from mam_keras.model.backbones import names
from mam_keras.settings import Text
from mam_keras.systems import plain
from mam_keras.systems.plain import Loss
from mam_keras.systems.system import OFFSETS, Branch, Paper

__all__ = ["Loss", "Settings", "attach", "build"]

PLACES = ("early", "middle", "late")
HALVINGS = 2  # of the hourglass, where the early stage's side can be halved so often


class Settings(plain.Settings):
    """The network of 1901.10042 on the stages of any backbone."""

    TITLE: ClassVar[str] = "shareable attention (Xie et al. 2019)"
    PAPERS: ClassVar[tuple[Paper, ...]] = (
        Paper(
            "S. Xie, D. Chen, R. Zhang and H. Xue", "Deep Features Analysis with Attention Networks", 2019, "1901.10042"
        ),
    )

    system: Literal["shareable"]
    attention: Literal["residual", "multiply"] = "residual"  # (1 + M) x, M x
    attended: tuple[Text, ...] = PLACES  # stages: early, middle, late, or the backbone's names of them; [] for none

    @property
    def early(self) -> str:
        """The stage that the hourglass looks at: the first one behind the stem."""
        return self._stages[0]

    @property
    def places(self) -> dict[str, str]:
        """{the backbone's name of an attended stage: what `attended` calls it}, from low to high.

        Early is the first stage behind the stem, late the last one, and middle the one between them, the lower of two;
        with fewer stages than three they coincide. Raises `ValueError` for what is no stage.
        """
        own = self._stages
        words = {"early": own[0], "middle": own[(len(own) - 1) // 2], "late": own[-1]}
        for name in self.attended:
            if name not in words and name not in own:
                raise ValueError(f"model.attended: expected some of {', '.join((*PLACES, *own))}. Received: {name!r}")
        found = {}
        for name in self.attended:
            found.setdefault(words.get(name, name), name)
        return {name: found[name] for name in own if name in found}

    @property
    def _stages(self):
        own = names(self.backbone)
        return own[1:] or own

    def describe(self, image_size):
        masks = f"masks {', '.join(self.places.values())} ({self.attention})" if self.attended else "no masks"
        return f"{super().describe(image_size)}, {masks}"

    def branches(self, image_size):
        found = super().branches(image_size)
        if not self.attended:
            return found
        factor, places = "1 + M" if OFFSETS[self.attention] else "M", ", ".join(self.places.values())
        words = f"one hourglass on the early stage, whose masks ({factor}) weigh what stages pass on: {places}"
        return (*found, Branch("shared attention", "hourglass, 1x1, 1x1, sigmoid", f"masks: {places}", words))

    def require_possible(self, image_size, loss):
        super().require_possible(image_size, loss)
        self.places  # noqa: B018 (refuses what is no stage)


def build(config, targets):
    """`image` float32 (N, S, S, 3) in [0, 1] -> {"probabilities": (N, K)}."""
    from keras import layers

    from mam_keras.model.attention import Weighted
    from mam_keras.model.backbones.blocks import hourglass, mask

    model, seen = config.model, {}
    kind, places = model.backbone.normalization, model.places

    def passing(name, x):
        if places and name == model.early:
            levels = next(level for level in range(HALVINGS, -1, -1) if x.shape[1] % 2**level == 0)
            looked = hourglass(x, levels, "attention.hourglass", kind)
            seen["early"] = layers.Add(name="attention.sum")([x, looked])
        if name not in places:
            return x
        own, blocks = f"attention.{places[name]}", seen["early"].shape[1] // x.shape[1]
        h = layers.AveragePooling2D(blocks, name=f"{own}.grid")(seen["early"])
        return Weighted(OFFSETS[model.attention], name=f"{own}.weighted")([x, mask(h, x.shape[-1], own, kind)])

    return plain.build(config, targets, passing, "shareable")


def attach(config, targets, model):
    """The `Network` of a model of `build`: as `plain`, and every mask is a map."""
    import keras
    from keras import ops

    from mam_keras.model.network import Map

    network, own = plain.attach(config, targets, model, by_field=not config.model.places), {}
    for place in config.model.places.values():
        mask = keras.Model(model.input, model.get_layer(f"attention.{place}").output)

        def show(images, mask=mask):
            return ops.mean(ops.cast(mask(images, training=False), "float32"), axis=-1, keepdims=True)

        own[f"mask_{place}".replace(".", "_")] = Map(f"mask, {place}", _NOTE.format(place), False, show)
    network.maps = own | network.maps
    if places := list(config.model.places.values()):
        network.outputs["map"] = ops.mean(model.get_layer(f"attention.{places[0]}").output, axis=-1, keepdims=True)
    return network


_NOTE = (
    "The mask of the stage {}, one for all targets, mean over its channels: where what the stage found is passed on. "
    "It says where features count more, not what they add."
)
