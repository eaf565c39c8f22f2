"""Whatever bytes a caller sends, the server answers, other rows do not notice, and its memory stays where it was."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.data import decoding, formats
from mam_keras.data.images import prepare, read
from tests.export import encoded
from tests.export.encoded import encode, picture

SOUND, HUGE, UNREADABLE = encoded.sound(), encoded.huge(), encoded.unreadable()


@pytest.fixture(scope="module")
def decode_batch():
    return tf.function(lambda images: decoding.decode_batch(images, 32), [tf.TensorSpec((None,), tf.string)])


def test_everything_that_training_reads_is_prepared_as_in_training(decode_batch):
    images, valid = decode_batch(tf.constant(list(SOUND.values())))
    for name, image, readable in zip(SOUND, images.numpy(), valid.numpy(), strict=True):
        assert readable, name
        np.testing.assert_array_equal(image, prepare(read(SOUND[name])[0], 32), err_msg=name)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_training_cannot_read_is_not_valid(decode_batch, name):
    assert not decode_batch(tf.constant([UNREADABLE[name]]))[1].numpy().any()
    with pytest.raises(tf.errors.InvalidArgumentError):
        read(UNREADABLE[name])


def test_the_order_of_images_is_kept(decode_batch):
    mixed = [b"", SOUND["png"], b"no image", SOUND["one pixel"], HUGE["png"], SOUND["jpeg"]]
    images, valid = decode_batch(tf.constant(mixed))
    np.testing.assert_array_equal(valid, [False, True, False, True, False, True])
    for row in (1, 3, 5):
        np.testing.assert_array_equal(images[row], prepare(read(mixed[row])[0], 32))
    assert not images.numpy()[[0, 2, 4]].any()


def test_none_readable_and_none_sent(decode_batch):
    images, valid = decode_batch(tf.constant([b"", b"x"]))
    assert images.shape == (2, 32, 32, 3) and not valid.numpy().any()
    images, valid = decode_batch(tf.constant([], tf.string))
    assert images.shape == (0, 32, 32, 3) and valid.shape == (0,)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_the_limit_is_exact(monkeypatch, form):
    monkeypatch.setattr(formats, "MAX_PIXELS", 90 * 70)
    decode = tf.function(formats.decode, [tf.TensorSpec((), tf.string)], autograph=False)  # `images.read` has its own
    for options in options_of(form):
        assert decode(encode(picture(90, 70), form, **options))[0].shape == (90, 70, 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="at most 6,300 pixels"):
            decode(encode(picture(71, 90), form, **options))


def options_of(form):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0"
    return ({}, {"lossless": True}, {"exif": exif}) if form == "WEBP" else ({},)


@pytest.mark.parametrize("name", HUGE)
def test_what_promises_too_much_is_not_decoded(server, client, name):
    memory(server.process)
    before = memory(server.process)[0]
    answer = client.predict("classify_bytes", image_bytes=[SOUND["png"], HUGE[name], SOUND["png"]])
    np.testing.assert_array_equal(answer["valid"], [True, False, True])
    assert np.isnan(answer["probabilities"][1]).all()
    np.testing.assert_allclose(answer["probabilities"][0], answer["probabilities"][2], rtol=0, atol=1e-6)
    assert memory(server.process)[1] - before < 100e6  # decoded, those that keep their promise take 192 MB or more


def memory(process):
    """Resident memory in bytes, and its highest since the last call, which forgets it."""
    folder = Path(f"/proc/{process.pid}")
    status = (folder / "status").read_text()
    (folder / "clear_refs").write_text("5")
    return [1024 * int(re.search(rf"{key}:\s+(\d+)", status)[1]) for key in ("VmRSS", "VmHWM")]


@pytest.mark.parametrize(
    "name", ["classify_bytes", "classify_automatic_bytes", "classify_transformed_bytes", "explain_bytes"]
)
def test_unreadable_rows_are_blank_and_their_neighbours_are_not(client, name):
    images = [SOUND["jpeg"], *UNREADABLE.values(), SOUND["gif"]]
    pair = (
        {}
        if name in ("classify_bytes", "classify_automatic_bytes")
        else {"a": np.ones(len(images)), "b": np.full(len(images), 2.0)}
    )
    answer = client.predict(name, image_bytes=images, **pair)
    alone = client.predict(name, image_bytes=[images[0], images[-1]], **{key: value[:2] for key, value in pair.items()})
    valid = answer.pop("valid")
    assert valid[0] and valid[-1] and not valid[1:-1].any()
    for key, value in answer.items():
        assert np.isnan(value[1:-1]).all(), key
        np.testing.assert_allclose(value[[0, -1]], alone[key], rtol=0, atol=1e-6, err_msg=key)


def test_500_mutated_images_crash_nothing(server, client):
    random = np.random.default_rng(0)
    originals = [np.frombuffer(content, np.uint8) for content in SOUND.values()]
    reference = client.predict("classify_bytes", image_bytes=[SOUND["png"]])
    answered = []
    memory(server.process)
    before = memory(server.process)[0]
    for _ in range(20):
        mutants = [mutate(originals[index % len(originals)], random) for index in range(25)]
        answer = client.predict("classify_bytes", image_bytes=[*mutants, SOUND["png"]])
        assert (answer["valid"] == ~np.isnan(answer["probabilities"]).any(axis=1)).all()
        np.testing.assert_allclose(answer["probabilities"][-1], reference["probabilities"][0], rtol=0, atol=1e-6)
        answered += answer["valid"][:-1].tolist()
    assert len(answered) == 500
    assert 50 < sum(answered) < 450  # or the mutations were too mild or too wild to show much
    assert memory(server.process)[1] - before < 600e6  # twelve bytes for each of the 2**25 pixels, and some


def mutate(content, random):
    """Flips, overwrites, removes or repeats a few bytes, most often near the front, where headers are."""
    content = content.copy()
    for _ in range(random.integers(1, 6)):
        at = int(len(content) * random.random() ** random.integers(1, 5))
        kind = random.integers(5)
        if kind == 0:
            content[at] ^= 1 << random.integers(8)
        elif kind == 1:
            content[at : at + 4] = random.integers(0, 256, len(content[at : at + 4]))
        elif kind == 2:
            content[at] = random.choice([0, 1, 127, 128, 255])
        elif kind == 3:
            content = np.delete(content, slice(at, at + random.integers(1, 9)))
        else:
            content = np.insert(content, at, content[at : at + random.integers(1, 9)])
        if len(content) < 8:
            break
    return content.tobytes()
