"""Texts of different lengths in one rectangle."""

import numpy as np
from search_plane.encoder.padding import padded


def test_ids_and_mask_are_zero_after_a_texts_end() -> None:
    ids, mask = padded([(101, 7, 102), (101, 102)])
    assert ids.tolist() == [[101, 7, 102], [101, 102, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_an_id_of_zero_within_a_text_is_a_token_like_any_other() -> None:
    ids, mask = padded([(101, 0, 102), (101, 5)])
    assert ids.tolist() == [[101, 0, 102], [101, 5, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_token_types_are_padded_in_the_same_way() -> None:
    types, _ = padded([(0, 0, 1, 1), (0, 1)])
    assert types.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0]]
