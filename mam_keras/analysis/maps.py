"""What do all maps of a run's network show for one target, on one grid, beside the control of random weights?

Maps of another grid are brought to it (`model.maps.on_grid`), so that all are measured in the same blocks of pixels.
Knows neither regions nor what is measured.
"""

UNTRAINED = "untrained"


class Maps:
    """The maps of a `TrainedRun` and of its untrained network, for many images of one target.

    Attributes:
        own: the name of the network's own map.
        names: M of them: the network's, its own first, and `UNTRAINED`, the own map with random weights.
        grid: (H, W) of the own map.
        described: {name: {"title", "note", "signed"}} of the network's.
    """

    def __init__(self, run):
        import tensorflow as tf

        from mam_keras.model.maps import of_target, on_grid

        network, untrained = run.network, run.untrained
        self.own = next(iter(network.maps))
        self.names = [*network.maps, UNTRAINED]
        self.grid = grid = network.map_size(self.own)

        @tf.function(reduce_retracing=True)
        def look(images, k):
            shown = []
            for asked, maps in ((network, network.maps.values()), (untrained, [untrained.maps[self.own]])):
                features = asked.features(images)
                shown += [on_grid(of_target(one, images, features, k), grid) for one in maps]
            return tf.stack(shown, axis=1)

        self._look = look

    def __call__(self, images, k):
        """Images float32 (n, S, S, 3) and a target -> float32 (n, M, H, W), of either sign where a map is signed."""
        import tensorflow as tf

        return self._look(tf.constant(images), tf.constant(k)).numpy()


class Depths:
    """What the stages of a `TrainedRun`'s network show, beside the last one's Grad-CAM with random weights.

    Attributes:
        stages: `model.backbones.Stage`, from low to high.
        names: M of them: "grad_cam.STAGE" from high to low, "activation.STAGE" from high to low, and `UNTRAINED`.
        grid: (H, W) of the last stage, which all are brought to.
    """

    def __init__(self, run):
        import tensorflow as tf

        from mam_keras.model.maps import by_depth, on_grid

        self.stages, self.grid = run.network.stages, run.network.grid
        names = [stage.name for stage in reversed(self.stages)]
        self.names = [*(f"grad_cam.{name}" for name in names), *(f"activation.{name}" for name in names), UNTRAINED]
        trained, untrained = by_depth(run.network), by_depth(run.untrained)

        @tf.function(reduce_retracing=True)
        def look(images, k):
            (activations, cams), (_, (*_, control)) = trained(images, k), untrained(images, k)
            maps = [*reversed(cams), *reversed(activations), control]
            return tf.stack([on_grid(one, self.grid) for one in maps], axis=1)

        self._look = look

    def __call__(self, images, k):
        """Images float32 (n, S, S, 3) and a target -> float32 (n, M, H, W), none negative."""
        import tensorflow as tf

        return self._look(tf.constant(images), tf.constant(k)).numpy()
