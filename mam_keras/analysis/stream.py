"""A split, a batch at a time, with progress. Knows no question."""

import itertools

import numpy as np
import tensorflow as tf
from tqdm import tqdm


def stream(prepared, batch_size, description):
    """The images of a `pipeline.Prepared`, a batch at a time, with progress: yields (rows, images).

    `rows` is a slice of the split, `images` a float32 tensor (n, S, S, 3) in [0, 1]. A last batch of less than half the
    size is joined to the one before it, so that statistics of a batch are never those of a few images left over.
    """
    bounds = [*range(0, max(1, len(prepared) - (batch_size - 1) // 2), batch_size), len(prepared)]
    batches = list(itertools.pairwise(bounds))
    for start, end in tqdm(batches, desc=description, unit=" batches", disable=None, leave=False):
        yield slice(start, end), tf.constant(np.asarray(prepared.images[start:end]), tf.float32) / 255.0
