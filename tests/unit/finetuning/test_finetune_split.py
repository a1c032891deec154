"""Held-out queries: the same ones whatever else the log holds, and none of them learnt from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.finetuning.evaluation import retrieval
from search_plane.finetuning.pairs import Pair
from search_plane.finetuning.rows import Refused
from search_plane.finetuning.split import is_held_out, split


def pairs(count: int) -> list[Pair]:
    return [Pair(f"问题{n // 3}", f"商品{n}") for n in range(count)]


def test_no_query_is_on_both_sides_and_no_pair_is_lost() -> None:
    # The second in capitals: for the split it is the same query.
    given_pairs = [
        *pairs(900),
        *(Pair(f"USB {n}", "线") for n in range(50)),
        *(Pair(f"usb {n}", "线材") for n in range(50)),
    ]
    made = split(given_pairs, 0.2)
    learnt, judged = ({pair.query_key for pair in side} for side in (made.training, made.held_out))
    assert not learnt & judged
    assert sorted([*made.training, *made.held_out], key=repr) == sorted(given_pairs, key=repr)
    assert made.held_out_queries == len(judged)
    assert 0.13 < len(judged) / len(learnt | judged) < 0.27


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds_queries(query: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert is_held_out(query, large) or not is_held_out(query, small)


def test_more_logs_move_no_query_to_the_other_side() -> None:
    before, after = split(pairs(300), 0.3), split(pairs(900), 0.3)
    assert set(before.held_out) <= set(after.held_out)
    assert set(before.training) <= set(after.training)


def test_the_split_stays_what_it_was_in_earlier_versions() -> None:
    # Those whose sha256, as `sha256sum` prints it, begins below 33: a fifth of 100 in hex.
    assert [n for n in range(40) if is_held_out(f"问题{n}", 0.2)] == [6, 9, 12, 16, 27]


def test_too_few_queries_to_judge_by_are_refused_with_the_figures() -> None:
    with pytest.raises(
        Refused, match=r"--held-out 0\.1: leaves \d queries to judge by and \d+ pairs to learn"
    ):
        split(pairs(30), 0.1)


def test_a_product_is_its_text_and_every_click_of_a_query_counts() -> None:
    asked = retrieval([Pair("耳机", "甲", ("乙",)), Pair("耳机", "丙"), Pair("音箱", "乙", ("甲",))])
    assert set(asked.products.values()) == {"甲", "乙", "丙"}
    clicked = {query: {asked.products[key] for key in keys} for query, keys in asked.clicked.items()}
    assert clicked == {"耳机": {"甲", "丙"}, "音箱": {"乙"}}
