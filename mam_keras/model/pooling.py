"""From scores at positions to logits. Knows neither masks nor losses."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("mam_keras")
class PooledLogits(keras.layers.Layer):
    """logit_k = bias_k + the mean of s^k_p over the given share of positions, the highest first.

    With share 1 this is global average pooling (our reading of f_b^k: pooling and one linear unit), and the logit is
    bias_k + 1/P sum_p s^k_p. Scores (N, H, W, K) -> logits float32 (N, K).

    With a sharpness r the mean becomes log-sum-exp, 1/r log(mean of exp(r s^k_p)), which goes from the mean (small r)
    to the maximum (large r); then scores do not add up to the logit.

    Args:
        share: in (0, 1]; at least one position is taken.
        sharpness: r > 0, or None for the mean.
    """

    def __init__(self, share=1.0, sharpness=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 < share <= 1:
            raise ValueError(f"Argument `share` must be in (0, 1]. Received: {share}")
        if sharpness is not None and not sharpness > 0:
            raise ValueError(f"Argument `sharpness` must be positive or None. Received: {sharpness}")
        self.share = share
        self.sharpness = sharpness
        self.autocast = False  # scores stay float32 under a mixed policy

    def build(self, scores_shape):
        self.bias = self.add_weight(name="bias", shape=(scores_shape[-1],), initializer="zeros", autocast=False)

    def call(self, scores):
        return self.pool(scores) + self.bias

    def pool(self, scores):
        """Logits less their bias: (N, H, W, K) -> float32 (N, K)."""
        scores = ops.cast(scores, "float32")
        _, height, width, attributes = scores.shape
        pooled = ops.reshape(scores, (-1, height * width, attributes))
        if self.share < 1:
            by_attribute = ops.transpose(pooled, (0, 2, 1))
            highest, _ = ops.top_k(by_attribute, max(1, round(self.share * height * width)))
            pooled = ops.transpose(highest, (0, 2, 1))
        if self.sharpness is None:
            return ops.mean(pooled, axis=1)
        return (ops.logsumexp(self.sharpness * pooled, axis=1) - math.log(pooled.shape[1])) / self.sharpness

    def compute_output_spec(self, scores):
        return keras.KerasTensor((scores.shape[0], scores.shape[-1]), dtype="float32")

    def get_config(self):
        return super().get_config() | {"share": self.share, "sharpness": self.sharpness}


@keras.saving.register_keras_serializable("mam_keras")
class Column(keras.layers.Layer):
    """One attribute's column, kept two-dimensional: (N, K) -> (N, 1). Its name is the output's name.

    Args:
        index: which column.
    """

    def __init__(self, index, **kwargs):
        super().__init__(**kwargs)
        self.index = index

    def call(self, values):
        return values[:, self.index : self.index + 1]

    def get_config(self):
        return super().get_config() | {"index": self.index}
