"""What the tests of several sources need: images in files, and the one line of a refusal."""

import pytest
from PIL import Image

from mam_keras import data
from mam_keras.errors import UserError


@pytest.fixture
def draw():
    """Writes images of one colour each, (10 n, 0, 0) for the n-th, 6 wide and 8 high, without loss."""

    def draw(folder, names):
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 8), (10 * number, 0, 0)).save(path, "PNG")

    return draw


@pytest.fixture
def reds():
    """The red of the first pixel of every image of a split, in order: tells which image of `draw` it is."""
    return lambda split: [int(image[0, 0, 0]) for image, _ in split.images()]


@pytest.fixture
def refusal():
    """The message with which settings are refused, which must be one line."""

    def refusal(settings):
        with pytest.raises(UserError) as caught:
            data.load(settings)
        message = str(caught.value)
        assert "\n" not in message
        assert "expected" in message
        assert "Received: " in message
        return message

    return refusal
