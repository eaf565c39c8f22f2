"""How a split is streamed: every image once, in order, and never a few at the end by themselves."""

import numpy as np
import pytest

from mam_keras.analysis.stream import stream
from mam_keras.data.pipeline import Prepared


@pytest.mark.parametrize(
    "count, size, batches",
    [
        (12, 4, [4, 4, 4]),
        (13, 4, [4, 4, 5]),  # one left over joins those before
        (14, 4, [4, 4, 4, 2]),  # half a batch does not
        (12, 5, [5, 7]),
        (13, 5, [5, 5, 3]),
        (3, 8, [3]),
        (9, 8, [9]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_a_last_batch_of_less_than_half_joins_the_one_before(count, size, batches):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    prepared = Prepared(images, np.arange(count).astype(str), np.ones((count, 1), bool), None, ())
    rows, parts = zip(*stream(prepared, size, ""), strict=True)
    assert [part.shape[0] for part in parts] == [one.stop - one.start for one in rows] == batches
    np.testing.assert_allclose(np.concatenate(parts), images / np.float32(255), rtol=1e-6)
