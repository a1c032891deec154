"""The body of POST /rerank and its answer."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.encoder.embed_request import Refused
from search_plane.reranker.rerank_request import RerankRequest, parse_rerank, rerank_answer, sigmoid


def parsed(**body: Any) -> RerankRequest:
    return parse_rerank(json.dumps(body).encode())


def test_what_is_not_said_is_as_tei_has_it_but_long_texts_are_cut() -> None:
    assert parsed(query="米", texts=["大米"]) == RerankRequest("米", ("大米",), False, False, True)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"texts": ["米"]}, 422, '"query": expected a text'),
        ({"query": ["米"], "texts": ["米"]}, 422, '"query": expected a text'),
        ({"query": " ", "texts": ["米"]}, 422, '"query" is blank'),
        ({"query": "米"}, 422, 'expected an object with "texts"'),
        ({"query": "米", "texts": "米"}, 422, '"texts": expected a list of texts'),
        ({"query": "米", "texts": []}, 422, '"texts" is empty'),
        ({"query": "米", "texts": ["米", 3]}, 422, '"texts"[1]: expected a text, found int'),
        ({"query": "米", "texts": ["米"], "raw_scores": 1}, 422, '"raw_scores": expected true or false'),
        ({"query": "米", "texts": ["米"], "top_n": 1}, 422, "unknown keys: top_n"),
        ({"query": "米", "texts": ["米"], "truncation_direction": "left"}, 422, "truncation_direction"),
        ({"query": "米", "texts": ["米"] * 257}, 413, "at most 256 at a time"),
        (
            {"query": "米" * 10000, "texts": ["米"] * 250},
            413,
            '"query": 10000 characters, which count with each of 250',
        ),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], status: int, says: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(**body)
    assert refused.value.status == status
    assert says in refused.value.body["error"]


def test_the_best_comes_first_and_equals_keep_their_order() -> None:
    request = parsed(query="q", texts=["a", "b", "c", "d"], raw_scores=True, return_text=True)
    answer = rerank_answer(request, np.array([0.5, 3.0, 0.5, -2.0], np.float32))
    assert answer == [
        {"index": 1, "score": 3.0, "text": "b"},
        {"index": 0, "score": 0.5, "text": "a"},
        {"index": 2, "score": 0.5, "text": "c"},
        {"index": 3, "score": -2.0, "text": "d"},
    ]
    (best, *_) = rerank_answer(parsed(query="q", texts=["a", "b"]), np.array([-1.0, 0.0], np.float32))
    assert best == {"index": 1, "score": 0.5}


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1))
def test_a_sigmoid_is_between_0_and_1_and_keeps_the_order(values: list[float]) -> None:
    scores = np.array(sorted(values), np.float32)
    told = sigmoid(scores)
    assert ((told >= 0) & (told <= 1)).all()
    assert (np.diff(told) >= 0).all()
