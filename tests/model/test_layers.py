"""What is expected of every layer alike."""

from mam_keras.model.masks import CommonMaskedHeads, PerFeatureMaskedHeads, PlainHeads
from mam_keras.model.pooling import Column, PooledLogits
from mam_keras.model.transformation import FAMILIES, Family
from tests.model.layer_checks import run_layer_test

PLACED = {"learned_positions": True, "spread": 0.1}
MASKED = {"attributes": 3, "mask_offset": 0, "sparsity": 0.01, "family": "other", "initial_bias": 0.5} | PLACED


def test_per_feature_masked_heads(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "other", Family(lambda mask, a, b: a * mask**b, (1.0, 1.0), True))
    run_layer_test(
        PerFeatureMaskedHeads,
        MASKED,
        input_shape=(2, 4, 3, 5),
        output_shape=(2, 4, 3, 3),
        weights={"kernel": (3, 5), "mask_kernel": (3, 5, 5), "mask_bias": (3, 5), "position_logits": (3, 4, 3)},
        losses=1,
        path=tmp_path,
    )


def test_common_masked_heads(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "other", Family(lambda mask, a, b: a * mask**b, (1.0, 1.0), True))
    run_layer_test(
        CommonMaskedHeads,
        MASKED,
        input_shape=(2, 4, 3, 5),
        output_shape=(2, 4, 3, 3),
        weights={"kernel": (3, 5), "mask_kernel": (3, 5), "mask_bias": (3,), "position_logits": (3, 4, 3)},
        losses=1,
        path=tmp_path,
    )


def test_plain_heads(tmp_path):
    run_layer_test(
        PlainHeads,
        {"attributes": 3} | PLACED,
        input_shape=(2, 4, 3, 5),
        output_shape=(2, 4, 3, 3),
        weights={"kernel": (3, 5), "position_logits": (3, 4, 3)},
        losses=1,
        path=tmp_path,
    )


def test_pooled_logits(tmp_path):
    run_layer_test(
        PooledLogits,
        {"share": 0.25, "sharpness": 2.0},
        input_shape=(2, 4, 3, 5),
        output_shape=(2, 5),
        weights={"bias": (5,)},
        path=tmp_path,
    )


def test_column(tmp_path):
    run_layer_test(
        Column,
        {"index": 2},
        input_shape=(3, 4),
        output_shape=(3, 1),
        weights={},
        mixed_output_dtype="bfloat16",  # as Keras's own; the model asks for float32
        path=tmp_path,
    )
