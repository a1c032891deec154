"""Texts of different lengths as the rectangle that a model takes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search_plane.encoder.pooling import MaskArray
from search_plane.encoder.tokenising import TokenIds

IdArray = NDArray[np.int64]


def padded(texts: Sequence[TokenIds]) -> tuple[IdArray, MaskArray]:
    """Token ids and their mask, both int64 [texts, longest]; after a text's end both are 0.

    Neither `texts` nor any of them is empty. Pairs' token types pad alike: `padded(types)[0]` are the model's
    token_type_ids beside `padded(pairs)`.
    """
    longest = max(len(ids) for ids in texts)
    ids = np.zeros((len(texts), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask
