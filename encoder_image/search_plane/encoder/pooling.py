"""From the model's last hidden states to one vector a text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_plane.release.identity import Pooling

FloatArray = NDArray[np.float32]
MaskArray = NDArray[np.int64]


def pool(hidden: NDArray[np.floating[Any]], mask: MaskArray, pooling: Pooling) -> FloatArray:
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
    """Rows [batch, dimension] scaled to length 1 (float32).

    A zero or non-finite row becomes non-finite, never a silent zero vector.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lengths = np.sqrt(np.einsum("bd,bd->b", vectors, vectors))
        return np.asarray(vectors / lengths[:, None], dtype=np.float32)


def sound_rows(rows: FloatArray) -> NDArray[np.bool_]:
    """bool [batch]: which rows are finite; of `normalised` vectors those that had a direction."""
    return np.asarray(np.isfinite(rows).all(axis=1), dtype=np.bool_)
