"""From hidden states to vectors: against values computed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.encoder.pooling import normalised, pool, sound_rows


def test_mean_leaves_padding_out() -> None:
    hidden = np.array([[[1, 2], [3, 4], [100, 100]], [[5, 5], [7, 9], [9, 1]]], np.float32)
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int64)
    assert pool(hidden, mask, "mean").tolist() == [[2, 3], [7, 5]]


def test_cls_takes_the_first_token() -> None:
    hidden = np.array([[[1, 2], [3, 4]]], np.float32)
    assert pool(hidden, np.ones((1, 2), np.int64), "cls").tolist() == [[1, 2]]


def test_half_precision_is_averaged_as_single() -> None:
    hidden = np.full((1, 4, 1), 60000, np.float16)
    assert pool(hidden, np.ones((1, 4), np.int64), "mean").tolist() == [[60000]]


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_more_padding_changes_no_mean(texts: int, tokens: int, padding: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(texts, tokens, 8)).astype(np.float32)
    mask = np.ones((texts, tokens), np.int64)
    wider = np.concatenate([hidden, random.normal(size=(texts, padding, 8)).astype(np.float32)], axis=1)
    wider_mask = np.concatenate([mask, np.zeros((texts, padding), np.int64)], axis=1)
    np.testing.assert_allclose(pool(wider, wider_mask, "mean"), pool(hidden, mask, "mean"), atol=1e-6)


def test_normalised_rows_have_length_one() -> None:
    assert normalised(np.array([[3, 4], [0, 2]], np.float32)).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 1],
    ]


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [-np.inf, np.inf]])
def test_a_row_without_a_direction_is_not_sound(bad: list[float]) -> None:
    rows = np.array([[1, 0], bad, [0, 1]], np.float32)
    assert sound_rows(normalised(rows)).tolist() == [True, False, True]
