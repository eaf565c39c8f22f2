"""What is served is what Keras computes, for every signature, over gRPC from a process without Keras."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mam_keras import config
from mam_keras.export.signatures import signatures
from mam_keras.model.maps import fields
from mam_keras.systems.masked import output_names
from tests.export.encoded import encode, picture
from tests.model import equations
from tests.model.examples import network_of, randomize, small_config

K, C, SIZE, SIDE = 5, 8, 32, 8  # attributes, channels, side of an image, side of the feature map
INPUTS = {
    "serving_default": {"image"},
    "classify_bytes": {"image_bytes"},
    "classify_transformed": {"image", "a", "b"},
    "classify_transformed_bytes": {"image_bytes", "a", "b"},
    "explain": {"image", "a", "b"},
    "explain_bytes": {"image_bytes", "a", "b"},
    "classify_automatic": {"image"},
    "classify_automatic_bytes": {"image_bytes"},
}
AUTOMATIC = {"noise", "a", "b"}
SHAPES = {
    "probabilities": (K,),
    "multi_label": (K,),
    "valid": (),
    "contributions": (K, SIDE, SIDE),
    "grad_cam": (K, SIDE, SIDE),
    "channel_importances": (K, C),
    "reconstruction": (SIZE, SIZE, 3),
    "noise": (),
    "a": (),
    "b": (),
}
EXPLAINED = set(SHAPES) - AUTOMATIC
CLASSIFIED = {"probabilities", "multi_label"}
OUTPUTS = {name: EXPLAINED if "explain" in name else CLASSIFIED | {"valid"} for name in INPUTS}
OUTPUTS["serving_default"] = CLASSIFIED
OUTPUTS["classify_automatic"] = CLASSIFIED | AUTOMATIC
OUTPUTS["classify_automatic_bytes"] = CLASSIFIED | AUTOMATIC | {"valid"}
TAKING_PAIRS = [name for name, inputs in INPUTS.items() if "a" in inputs]


def pairs(count):
    """A different pair for every row, the identity, a = 0 and strong ones among them."""
    random = np.random.default_rng(0)
    a, b = random.uniform(0, 3, count).astype("float32"), np.exp(random.uniform(-2, 2, count)).astype("float32")
    a[:3], b[:3] = (1, 0, 2), (1, 1, 8)
    return a, b


def inputs_of(name, photographs, prepared, count=None):
    a, b = pairs(len(prepared))
    return {key: {"image": prepared, "image_bytes": photographs, "a": a, "b": b}[key][:count] for key in INPUTS[name]}


def expected(network, images, a, b):
    """All outputs of `explain`, written out in float64 from Keras's features, masks and weights."""
    inner = {name: np.asarray(value, "float64") for name, value in network.parts(images / 255.0).items()}
    heads, logits = network.contributions.heads, network.contributions.pooling
    features, weights = inner["features"], heads.kernel.numpy().astype("float64")
    a, b = (np.asarray(value, "float64")[:, None, None, None] for value in (a, b))
    products = []
    for k in range(len(weights)):
        gain = np.ones_like(features)
        if hasattr(heads, "mask"):
            mask = heads.mask(features.astype("float32"), k).numpy().astype("float64")
            gain = heads.mask_offset + a * np.where(mask < 0.5, (2 * mask) ** b / 2, 1 - (2 - 2 * mask) ** b / 2)
        if network.positions:
            gain = gain * equations.position_weights(heads.position_logits.numpy())[..., k : k + 1]
        products.append(weights[k] * gain * features)
    products = np.stack(products, axis=1)  # (N, K, H', W', C)
    contributions = products.sum(axis=-1)
    by_height = np.sort(contributions.reshape(*contributions.shape[:2], -1))
    highest = by_height[..., -round(logits.share * by_height.shape[-1]) :]
    outputs = {
        "probabilities": 1 / (1 + np.exp(-highest.mean(axis=-1) - logits.bias.numpy())),
        "contributions": contributions,
        "channel_importances": np.abs(products).mean(axis=(2, 3)),
        "valid": np.ones(len(images), bool),
    }
    if "multi_label" in inner:
        outputs["multi_label"] = 1 / (1 + np.exp(-inner["multi_label"]))
        kernel = network.model.get_layer("multi_label_logits").kernel.numpy()
        outputs["grad_cam"] = np.moveaxis(np.maximum(features @ kernel, 0), -1, 1)
    return outputs | {name: value for name, value in inner.items() if name == "reconstruction"}


def test_saved_model_cli_shows_every_signature_with_named_inputs(exported):
    command = [Path(sys.executable).parent / "saved_model_cli", "show", "--all", "--dir", exported.path]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for text in shown.split("signature_def['")[1:]:
        name = text.partition("'")[0]
        found[name] = [
            dict(re.findall(rf"{kind}\['(\w+)'\].*?shape: \((.*?)\)", text, re.DOTALL))
            for kind in ("inputs", "outputs")
        ]
    del found["__saved_model_init_op"]
    assert {name: set(shapes[0]) for name, shapes in found.items()} == INPUTS
    assert {name: set(shapes[1]) for name, shapes in found.items()} == OUTPUTS
    for shapes in found.values():
        assert all(shape.startswith("-1") for named in shapes for shape in named.values())  # a batch of any size
    assert found["serving_default"][0] == {"image": "-1, 32, 32, 3"}
    assert found["explain"][1]["contributions"] == "-1, 5, 8, 8"


def test_outputs_are_those_of_the_model(client, network, photographs, prepared):
    predicted = network.model.predict(prepared / np.float32(255), verbose=0)
    heads = np.concatenate(
        [predicted[name] for name in output_names(("Smiling", "Eyeglasses", "Mustache", "Wearing_Hat", "Bangs"))],
        axis=1,
    )
    assert heads.std(axis=0).min() > 1e-3  # images differ, or all of this would show little
    for name in ("serving_default", "classify_bytes"):
        outputs = client.predict(name, **inputs_of(name, photographs, prepared))
        np.testing.assert_allclose(outputs["probabilities"], heads, rtol=0, atol=1e-5)
        np.testing.assert_allclose(outputs["multi_label"], predicted["multi_label"], rtol=0, atol=1e-5)
    same = np.ones(len(prepared), "float32")
    for name in ("classify_transformed", "explain"):
        outputs = client.predict(name, image=prepared, a=same, b=same)
        np.testing.assert_allclose(outputs["probabilities"], heads, rtol=0, atol=1e-6)
    np.testing.assert_allclose(outputs["reconstruction"], predicted["reconstruction"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", TAKING_PAIRS)
def test_every_image_is_transformed_by_its_own_pair(client, network, photographs, prepared, name):
    outputs = client.predict(name, **inputs_of(name, photographs, prepared))
    wanted = expected(network, prepared, *pairs(len(prepared)))
    assert (
        np.abs(
            wanted["probabilities"] - expected(network, prepared, *np.ones((2, len(prepared))))["probabilities"]
        ).max()
        > 0.02
    )
    assert set(outputs) == OUTPUTS[name]
    for key, value in outputs.items():
        assert value.shape == (len(prepared), *SHAPES[key])
        scale = max(1.0, np.abs(wanted[key]).max())
        np.testing.assert_allclose(value, wanted[key], rtol=0, atol=1e-5 * scale, err_msg=key)


def noisy(prepared, sigmas):
    """The first images, one with noise of each sigma, as uint8."""
    noise = np.random.default_rng(0).normal(size=(len(sigmas), *prepared.shape[1:]))
    spoiled = prepared[: len(sigmas)] + 255 * np.reshape(sigmas, (-1, 1, 1, 1)) * noise
    return np.clip(np.rint(spoiled), 0, 255).astype("uint8")


def by_rule(network, images, chosen):
    """What `classify_automatic` says, by the description alone: a plain rule, image by image, from Keras's logits."""
    differences = images[:, ::2, ::2].astype("float64") - images[:, 1::2, ::2] - images[:, ::2, 1::2]
    details = np.abs(differences + images[:, 1::2, 1::2]).reshape(len(images), -1) / 2 / 255
    noise = np.median(details, axis=1) / 0.6745
    knots = [sum(one >= boundary for boundary in chosen["boundaries"]) for one in noise]
    pairs, offsets = (np.array([chosen[name][knot] for knot in knots]) for name in ("pairs", "offsets"))
    plain = expected(network, images, *pairs.T)
    odds = plain["probabilities"] / (1 - plain["probabilities"]) * np.exp(offsets)
    chosen = {"probabilities": odds / (1 + odds), "noise": noise, "a": pairs[:, 0], "b": pairs[:, 1]}
    return plain | chosen


def test_pair_and_offsets_follow_the_noise_of_each_image_of_a_batch(client, exported, network, prepared):
    images = noisy(prepared, (0.0, 0.5, 0.05, 0.1, 0.2, 0.0, 0.3, 0.4))
    wanted = by_rule(network, images, exported.description["automatic"])
    outputs = client.predict("classify_automatic", image=images)
    assert set(outputs) == OUTPUTS["classify_automatic"]
    for key, value in outputs.items():
        np.testing.assert_allclose(value, wanted[key], rtol=0, atol=1e-5, err_msg=key)
    usual = client.predict("serving_default", image=images)["probabilities"]
    assert len(set(np.round(wanted["noise"], 3))) > 5 and np.abs(usual - wanted["probabilities"]).max() > 0.01
    png = [encode(image, "PNG") for image in images]
    of_bytes = client.predict("classify_automatic_bytes", image_bytes=[*png, b"no image"])
    np.testing.assert_array_equal(of_bytes.pop("valid"), [True] * len(images) + [False])
    for key, value in of_bytes.items():
        np.testing.assert_allclose(value[:-1], outputs[key], rtol=0, atol=1e-6, err_msg=key)
        assert np.isnan(value[-1]).all()


@pytest.mark.parametrize("name", ["classify", "classify_transformed", "classify_automatic", "explain"])
def test_bytes_and_tensors_agree_exactly(client, photographs, prepared, name):
    tensors = {"classify": "serving_default"}.get(name, name)
    of_tensors, of_bytes = (
        client.predict(n, **inputs_of(n, photographs, prepared)) for n in (tensors, f"{name}_bytes")
    )
    assert of_bytes.pop("valid").all()
    for key, value in of_bytes.items():
        np.testing.assert_array_equal(value, of_tensors[key], err_msg=key)


@pytest.mark.parametrize("name", INPUTS)
def test_rows_of_a_merged_batch_are_the_rows_sent_alone(client, photographs, prepared, name):
    inputs = inputs_of(name, photographs, prepared, 6)
    merged = client.predict(name, **inputs)
    for row in range(6):
        alone = client.predict(name, **{key: value[row : row + 1] for key, value in inputs.items()})
        for key, value in alone.items():
            np.testing.assert_allclose(value[0], merged[key][row], rtol=0, atol=1e-6, err_msg=key)


BAD = [(-1, 1), (-1e-30, 1), (np.nan, 1), (np.inf, 1), (-np.inf, 1), (1, 0), (1, -1), (1, np.nan), (1, np.inf)]


@pytest.mark.parametrize("name", TAKING_PAIRS)
def test_a_bad_pair_spoils_its_own_row_alone(client, photographs, prepared, name):
    inputs = inputs_of(name, photographs, prepared, 2 * len(BAD) if len(prepared) >= 2 * len(BAD) else None)
    sound = client.predict(name, **inputs)
    bad = np.arange(len(BAD)) * 2
    for row, (a, b) in zip(bad, BAD, strict=True):
        inputs["a"][row], inputs["b"][row] = a, b
    outputs = client.predict(name, **inputs)
    np.testing.assert_array_equal(np.flatnonzero(~outputs.pop("valid")), bad)
    for key, value in outputs.items():
        assert np.isnan(value[bad]).all(), key
        np.testing.assert_allclose(np.delete(value, bad, axis=0), np.delete(sound[key], bad, axis=0), atol=1e-6)


def test_a_pair_for_each_image_or_the_request_is_refused(client, prepared):
    for a, b in (([1], [1, 1]), ([1, 1], [1]), ([1], [1]), ([1, 1, 1], [1, 1, 1])):
        with pytest.raises(grpc.RpcError) as refused:
            client.predict("classify_transformed", image=prepared[:2], a=a, b=b)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_loader_of_tf_serving_runs_it(exported, client, photographs, prepared):
    inputs = {
        name: inputs_of(name, photographs, prepared, 3) for name in ("serving_default", "classify_transformed_bytes")
    }
    inputs["classify_transformed_bytes"]["image_bytes"] = [*photographs[:2], b"no image"]
    proto = saved_model_pb2.SavedModel.FromString((exported.path / "saved_model.pb").read_bytes())
    definitions = proto.meta_graphs[0].signature_def
    calls = [
        {
            "inputs": {definitions[name].inputs[key].name: packed(key, value) for key, value in named.items()},
            "outputs": [definitions[name].outputs[key].name for key in sorted(OUTPUTS[name])],
        }
        for name, named in inputs.items()
    ]
    command = [sys.executable, Path(__file__).parent / "c_api.py", Path(tf.__file__).parent, exported.path]
    done = subprocess.run(command, input=json.dumps(calls), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for (name, named), answers in zip(inputs.items(), json.loads(done.stdout), strict=True):
        for (key, value), answer in zip(sorted(client.predict(name, **named).items()), answers.values(), strict=True):
            np.testing.assert_allclose(np.reshape(answer["values"], answer["shape"]), value, atol=1e-6, err_msg=key)


def packed(key, value):
    if key == "image_bytes":
        return {"shape": [len(value)], "string": [base64.b64encode(content).decode() for content in value]}
    return {"shape": list(value.shape), "uint8" if key == "image" else "float32": value.flatten().tolist()}


# --- other models, without writing them to disk ---

PARTS = {
    "common masks": ({"masks": "common"}, EXPLAINED),
    "no masks": ({"masks": "none"}, EXPLAINED),
    "another system": ({"system": "plain"}, EXPLAINED - {"multi_label", "reconstruction"}),
    "no offset, a tenth of the positions": ({"mask_offset": 0, "pooled_share": 0.1}, EXPLAINED),
    "learned positions": ({"learned_positions": True}, EXPLAINED),
    "no reconstructor": ({"reconstructor": False}, EXPLAINED - {"reconstruction"}),
    "no multi-label head": ({"multi_label_head": False}, EXPLAINED - {"multi_label"}),
}


def build(**model):
    sections = {"channels": 4, "front_end": (4,), "dilations": (1,), **model}
    data = {"source": "synthetic_faces", "image_size": 16}
    settings = config.check({"name": "parts", "data": data, "model": sections}, "tests/export")
    network = network_of(settings, ("x", "y", "z"))
    randomize(network.model)
    return network


@pytest.mark.parametrize("parts, outputs", PARTS.values(), ids=PARTS)
def test_a_model_answers_with_the_parts_it_has(parts, outputs):
    built = build(**parts)
    random = np.random.default_rng(0)
    made_up = {"boundaries": [0.1], "pairs": [(0.5, 3.0), (2.0, 0.5)], "offsets": random.normal(size=(2, 3))}
    rule = SimpleNamespace(**{name: np.float32(values) for name, values in made_up.items()})
    found = signatures(built, rule)
    a, b = [1.0, 0.5, 2.0], [1.0, 3.0, -1.0]
    images = noisy(np.stack([picture(16, 16, seed) for seed in range(3)]), (0.0, 0.3, 0.3))
    encoded = [encode(image, "PNG") for image in images]
    given = {
        "image": tf.constant(images),
        "image_bytes": tf.constant(encoded),
        "a": tf.constant(a),
        "b": tf.constant(b),
    }
    masked = built.masks is not None
    usual, wanted = expected(built, images, np.ones(3), np.ones(3)), expected(built, images, a, np.abs(b))
    assert set(found) == {name for name in INPUTS if masked or "transformed" not in name}
    for name, (function, specs) in found.items():
        assert {spec.name for spec in specs} == (INPUTS[name] if masked else INPUTS[name] - {"a", "b"})
        answer = function(*(given[spec.name] for spec in specs))
        chosen_pair = AUTOMATIC if masked else {"noise"}
        with_valid = {"valid"} if "bytes" in name or "a" in {spec.name for spec in specs} else set()
        assert set(answer) == (OUTPUTS[name] - {"valid"}) & (outputs | chosen_pair) | with_valid
        if "automatic" in name:
            chosen = by_rule(built, images, made_up if masked else made_up | {"pairs": [(1, 1), (1, 1)]})
            for key in set(answer) - {"valid"}:
                np.testing.assert_allclose(answer[key], chosen[key], rtol=0, atol=1e-5, err_msg=f"{name}, {key}")
        elif "a" in {spec.name for spec in specs}:
            np.testing.assert_array_equal(answer.pop("valid"), [True, True, False])
            for key in set(answer) & set(wanted):
                np.testing.assert_allclose(answer[key][:2], wanted[key][:2], rtol=1e-5, atol=1e-5, err_msg=key)
        else:
            for key in set(answer) & set(usual):
                np.testing.assert_allclose(answer[key], usual[key], rtol=1e-5, atol=1e-5, err_msg=key)
    if masked:
        plain, transformed = (
            found[n][0](given["image"], *p)["probabilities"][1]
            for n, p in (("serving_default", ()), ("classify_transformed", (given["a"], given["b"])))
        )
        assert not np.allclose(plain, transformed, atol=1e-6)


def test_no_images_get_no_rows():
    built = build()
    rule = SimpleNamespace(boundaries=np.float32([0.1]), pairs=np.float32([[1, 1]] * 2), offsets=np.zeros((2, 3), "f4"))
    none = {"image": tf.zeros((0, 16, 16, 3), tf.uint8), "image_bytes": tf.zeros((0,), tf.string)}
    none |= {name: tf.zeros((0,)) for name in "ab"}
    for name, (function, specs) in signatures(built, rule).items():
        for key, value in tf.function(function)(*(none[spec.name] for spec in specs)).items():
            assert value.shape[0] == 0, (name, key)


def test_a_pair_too_large_for_a_result_is_bad_as_well():
    built = build()
    kernel = built.model.get_layer("attribute_scores").kernel
    kernel.assign(1e3 * np.sign(kernel))
    images, ones = np.stack([picture(16, 16, seed) for seed in range(2)]), tf.ones(2)
    outputs = signatures(built)["explain"][0](images, tf.constant([1.0, 3e38]), ones)
    np.testing.assert_array_equal(outputs.pop("valid"), [True, False])
    for key, value in outputs.items():
        assert np.isfinite(value[0]).all() and np.isnan(value[1]).all(), key


def test_without_attribute_heads_only_the_other_head_classifies():
    found = signatures(build(attribute_heads=False))
    assert set(found) == {"serving_default", "classify_bytes", "explain", "explain_bytes"}
    outputs = found["classify_bytes"][0](tf.constant([encode(picture(), "PNG"), b""]))
    assert set(outputs) == {"multi_label", "valid"}
    assert outputs["multi_label"].shape == (2, 3)
    assert np.isnan(outputs["multi_label"][1]).all()


def test_what_is_seen_is_of_the_contributions_under_the_pair():
    network = network_of(small_config(24, model={"dilations": [1]}), ["one", "other"])  # a position sees 7 of 24 pixels
    randomize(network.model)
    explain, _ = signatures(network)["explain"]
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), np.uint8))
    under = [explain(images, tf.constant([1.0, a]), tf.constant([1.0, b])) for a, b in ((1.0, 1.0), (3.0, 2.0))]
    shares = fields(24, 12, 7)
    for found in under:
        expected = np.einsum("ip,nkpq,jq->nkij", shares, found["contributions"], shares)
        np.testing.assert_allclose(found["seen"], expected, rtol=1e-4, atol=1e-6)
    first, second = (found["seen"].numpy() for found in under)
    np.testing.assert_allclose(second[0], first[0], atol=1e-6)
    assert np.abs(second[1] - first[1]).max() > 1e-3


def test_explain_holds_the_masks_of_one_tile_at_a_time():
    heads, channels, side, batch = 12, 64, 8, 4
    data = {"source": "synthetic_faces", "image_size": 16}
    sections = {"channels": channels, "front_end": (4,), "dilations": (1,), "reconstructor": False}
    settings = config.check({"name": "wide", "data": data, "model": sections}, "tests/export")
    function = signatures(network_of(settings, [f"attribute {k}" for k in range(heads)]))["explain"][0]
    pair = tf.TensorSpec((batch,), tf.float32)
    graph = tf.function(function).get_concrete_function(tf.TensorSpec((batch, 16, 16, 3), tf.uint8), pair, pair).graph
    loops = [op for op in graph.get_operations() if "While" in op.type]
    assert [loop.get_attr("parallel_iterations") for loop in loops] == [1]
    bodies = [graph, *(function.graph for function in graph._functions.values())]
    tensors = [tensor for body in bodies for op in body.get_operations() for tensor in op.outputs]
    sizes = [tensor.shape.num_elements() or 0 for tensor in tensors if tensor.shape.rank is not None]
    assert max(sizes) == heads * channels * side**2 * batch / 3  # four of the twelve attributes
