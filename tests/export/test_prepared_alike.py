"""The same face is answered alike however it is stored: by every signature of bytes, and in the user's photographs."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.analysis import photographs
from mam_keras.data.images import prepare, read
from mam_keras.export.signatures import signatures
from tests.analysis import untrained
from tests.export.encoded import encode, picture, tagged
from tests.export.test_signatures import INPUTS, TAKING_PAIRS, build

OF_BYTES = [name for name in INPUTS if "image_bytes" in INPUTS[name]]
FORMS = ("PNG", "WEBP")


def turned(face):
    """Stored by each of the eight tags, without loss."""
    return [tagged(face, tag, form) for tag in range(1, 9) for form in FORMS]


@pytest.mark.parametrize("name", OF_BYTES)
def test_a_face_stored_turned_is_answered_as_upright(client, name):
    faces = [picture(75, 60), picture(60, 83, seed=1)]
    for face in faces:
        images = turned(face)
        pair = {"a": np.full(len(images), 0.5), "b": np.full(len(images), 2.0)} if name in TAKING_PAIRS else {}
        answer = client.predict(name, image_bytes=images, **pair)
        assert answer["valid"].all()
        for key, value in answer.items():
            np.testing.assert_allclose(value, np.broadcast_to(value[:1], value.shape), rtol=0, atol=1e-6, err_msg=key)
        stored = encode(face[:, ::-1], "PNG")  # without a tag it is another face
        other = client.predict(name, image_bytes=[stored], **{key: value[:1] for key, value in pair.items()})
        assert np.abs(other["probabilities"] - answer["probabilities"][0]).max() > 1e-5


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_served_model_fits_images_as_the_run_did(fit):
    found, face = signatures(build(), fit=fit), picture(75, 60)
    images = turned(face)
    prepared = tf.repeat(prepare(face, 16, fit)[None], len(images), axis=0)
    ones = tf.ones(len(images))
    answers = found["classify_bytes"][0](tf.constant(images)), found["serving_default"][0](prepared)
    np.testing.assert_array_equal(answers[0]["probabilities"], answers[1]["probabilities"])
    explained = found["explain_bytes"][0](tf.constant(images), ones, ones), found["explain"][0](prepared, ones, ones)
    np.testing.assert_array_equal(explained[0]["contributions"], explained[1]["contributions"])


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_photographs_are_prepared_as_the_run_s_images(tmp_path, fit):
    face = picture(75, 60)
    for number, content in enumerate(turned(face)):
        (tmp_path / f"{number:02}").write_bytes(content)
    (tmp_path / "plain.jpg").write_bytes(encode(face, "JPEG"))
    run = untrained.run()
    data = run.config.data.model_copy(update={"fit": fit})
    run = SimpleNamespace(**vars(run) | {"config": run.config.model_copy(update={"data": data})})
    *found, jpeg = photographs.compute(run, "test", photographs.folder(tmp_path)).arrays["images"]
    assert len(found) == 16
    for image in found:
        np.testing.assert_array_equal(image, prepare(face, 16, fit))
    np.testing.assert_array_equal(jpeg, prepare(read(encode(face, "JPEG"))[0], 16, fit))
