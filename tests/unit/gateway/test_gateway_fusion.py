"""Fusing two orders of products."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.fusion import K0, fuse, fuse_in_tiers, weighed
from search_plane.release.policy import Fusion

FUSION = Fusion(semantic_weight=0.6, keyword_weight=0.4)
IDS = st.integers(0, 200).map(str)
ORDERS = st.lists(IDS, max_size=150, unique=True)


def test_scores_are_weighted_reciprocal_ranks_as_a_share_of_the_most() -> None:
    fused = dict(fuse(["a", "b"], ["b", "c"], FUSION))
    most = 1.0 / (K0 + 1)
    assert fused["b"] == pytest.approx((0.6 / (K0 + 2) + 0.4 / (K0 + 1)) / most)
    assert fused["a"] == pytest.approx(0.6 / (K0 + 1) / most)
    assert fused["c"] == pytest.approx(0.4 / (K0 + 2) / most)
    assert fuse(["a"], ["a"], FUSION)[0][1] == pytest.approx(1.0)


def test_what_both_found_comes_before_what_one_found() -> None:
    assert fuse(["a", "b", "c"], ["x", "c"], FUSION)[0][0] == "c"


def test_a_weight_of_0_leaves_the_other_order() -> None:
    only_words = Fusion(semantic_weight=0.0, keyword_weight=1.0)
    assert [one for one, _ in fuse(["a", "b"], ["b", "c"], only_words)] == ["b", "c", "a"]


def test_equal_scores_are_in_the_order_of_the_nearer() -> None:
    even = Fusion(semantic_weight=0.5, keyword_weight=0.5)
    assert [one for one, _ in fuse(["a", "b"], ["c", "d"], even)] == ["a", "c", "b", "d"]


@given(ORDERS, ORDERS)
def test_every_id_comes_once_and_scores_never_rise(semantic: list[str], keyword: list[str]) -> None:
    for fused in (fuse(semantic, keyword, FUSION), fuse_in_tiers(semantic, keyword, FUSION, 20)):
        ids, scores = [one for one, _ in fused], [score for _, score in fused]
        assert len(ids) == len(set(ids))
        assert set(ids) == set(semantic) | set(keyword)
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1.0 + 1e-9 for score in scores)


@given(ORDERS, ORDERS)
def test_a_deeper_search_begins_with_what_a_shallow_one_gave(semantic: list[str], keyword: list[str]) -> None:
    shallow = fuse_in_tiers(semantic[:50], keyword[:50], FUSION)
    assert fuse_in_tiers(semantic, keyword, FUSION)[: len(shallow)] == shallow


@given(ORDERS, ORDERS)
def test_without_an_end_of_the_tier_it_is_the_same_fusion(semantic: list[str], keyword: list[str]) -> None:
    assert fuse_in_tiers(semantic, keyword, FUSION, 150) == fuse(semantic, keyword, FUSION)


@given(ORDERS, st.lists(IDS, max_size=30))
def test_one_order_alone_stays_as_it_is(semantic: list[str], again: list[str]) -> None:
    assert [one for one, _ in fuse(semantic, [], FUSION)] == semantic
    # An id that comes twice counts where it comes first.
    assert [one for one, _ in fuse([], again, FUSION)] == list(dict.fromkeys(again))


def test_the_less_of_a_query_is_known_the_less_its_words_count() -> None:
    known, unknown = (weighed(FUSION, share) for share in (1.0, 0.1))
    assert known == FUSION
    assert unknown.semantic_weight == FUSION.semantic_weight
    assert unknown.keyword_weight == pytest.approx(FUSION.keyword_weight / 10)
    near, words = ["a", "b", "c"], ["c", "x", "y"]
    assert next(one for one, _ in fuse(near, words, known)) == "c"
    assert [one for one, _ in fuse(near, words, unknown)] == ["c", "a", "b", "x", "y"]
    apart = [one for one, _ in fuse(["a", "b"], ["x", "y"], unknown)]
    assert apart == ["a", "b", "x", "y"]
