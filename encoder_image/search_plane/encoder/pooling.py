"""From the model's last hidden states to one vector a text."""

import numpy as np
from numpy.typing import NDArray

from search_plane.release.identity import Pooling

FloatArray = NDArray[np.float32]
MaskArray = NDArray[np.int64]


def pool(hidden: FloatArray, mask: MaskArray, pooling: Pooling) -> FloatArray:
    """Vectors float32 [batch, dimension] of hidden states [batch, tokens, dimension].

    `mask` is int64 [batch, tokens]: 1 for a token, 0 for padding.
    `cls` takes the first token; `mean` averages the tokens that the mask keeps, which must be at least one.
    """
    if pooling == "cls":
        return np.ascontiguousarray(hidden[:, 0], dtype=np.float32)
    weights = mask.astype(np.float32)
    # One contraction instead of a masked copy of the whole tensor.
    sums = np.einsum("btd,bt->bd", hidden.astype(np.float32, copy=False), weights)
    return np.asarray(sums / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def normalised(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1 (float32).

    A zero or non-finite row becomes non-finite, never a silent zero vector.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def sound_rows(vectors: FloatArray) -> NDArray[np.bool_]:
    """bool [batch]: which rows are finite and not all zero, so that they have a direction."""
    return np.asarray(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1), dtype=np.bool_)
