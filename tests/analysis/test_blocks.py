"""Blocks of pixels under the positions of a map: by hand."""

import numpy as np
import pytest

from mam_keras.analysis import blocks


def test_blocks_of_pixels():
    pixels = np.zeros((4, 4), bool)
    pixels[0, 0] = pixels[2:, 2:] = True
    np.testing.assert_array_equal(blocks.cover(pixels, (2, 2)), [[0.25, 0], [0, 1]])
    np.testing.assert_array_equal(blocks.cover(pixels, (4, 4)), pixels)


def test_blocks_of_unequal_size():
    np.testing.assert_array_equal(blocks.block_of(5, 3), [0, 0, 1, 1, 2])
    pixels = np.zeros((5, 5), bool)
    pixels[:2, 4] = pixels[2, :2] = True
    np.testing.assert_allclose(blocks.cover(pixels, (3, 3)), [[0, 0, 1], [0.5, 0, 0], [0, 0, 0]])
    assert (blocks.cover(np.ones((7, 7), bool), (3, 2)) == 1).all()


def test_the_blob_is_highest_in_the_middle_and_has_its_width():
    blob = blocks.blob((40, 40))
    assert (blob == blob.max()).sum() == 4
    np.testing.assert_array_equal(blob, np.rot90(blob))
    along = blob[20] / blob[20, 20]
    assert along[26] == pytest.approx(np.exp(-((6.5 / 40) ** 2 - (0.5 / 40) ** 2) / (2 * 0.15**2)), rel=1e-6)


def test_the_highest_of_equal_ones_are_the_first():
    values = np.array([[1, 3, 3, 2], [0, 0, 0, 0]])
    np.testing.assert_array_equal(blocks.ranks(values), [[3, 0, 1, 2], [0, 1, 2, 3]])
    np.testing.assert_array_equal(blocks.highest(values, 2), [[False, True, True, False], [True, True, False, False]])


def test_the_middle_by_hand():
    nearest = blocks.highest(blocks.nearness((4, 4)), 4).reshape(4, 4)
    np.testing.assert_array_equal(np.argwhere(nearest), [[1, 1], [1, 2], [2, 1], [2, 2]])
