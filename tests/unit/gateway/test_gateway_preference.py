"""Hits ordered by what a query says beside its words."""

from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.preference import POOL, Seen, preferred, prefers
from search_plane.understanding.understood import Understood, as_written

PHONES = (("智能手机", 1.0),)


def understood(**known: object) -> Understood:
    return Understood("手机", "手机", **known)  # type: ignore[arg-type]


def seen(
    category: str | None = "智能手机",
    price: float | None = None,
    title: str = "手机",
    near: float | None = None,
) -> Seen:
    return Seen(title, category, price, near)


def test_a_query_of_which_nothing_is_known_prefers_nothing() -> None:
    assert not prefers(as_written("手机"))
    assert preferred([seen(), seen("手机壳"), seen()], as_written("手机")) == [0, 1, 2]


def test_the_kind_that_is_meant_comes_before_others() -> None:
    assert prefers(understood(kinds=PHONES))
    assert preferred([seen("手机壳"), seen(), seen("手机壳"), seen()], understood(kinds=PHONES)) == [
        1,
        3,
        0,
        2,
    ]


def test_a_kind_that_one_word_tells_gives_way_to_what_the_nearest_hits_are() -> None:
    hits = [seen("茶叶"), seen("狗粮", near=0.6), seen("茶叶"), seen("狗粮", near=0.5)]
    assert preferred(hits, understood(kinds=(("茶叶", 0.3),))) == [1, 3, 0, 2]


def test_the_nearest_hits_do_not_outvote_a_kind_that_the_words_tell_surely() -> None:
    hits = [seen("手机壳", near=0.7), seen(near=0.65), seen("手机壳", near=0.6), seen(near=0.5)]
    assert preferred(hits, understood(kinds=PHONES)) == [1, 3, 0, 2]


def test_only_the_ten_nearest_vote() -> None:
    nearest = [seen("狗粮", near=0.9)] * 10
    assert preferred([seen(near=0.1), *nearest], understood(price="low"))[0] == 1


def test_hits_without_a_category_have_no_vote() -> None:
    hits = [seen("茶叶"), seen(None, near=0.6), seen("茶叶")]
    assert preferred(hits, understood(kinds=(("茶叶", 1.0),))) == [0, 2, 1]


def test_the_model_comes_before_its_neighbours() -> None:
    hits = [seen(title="iPhone 15 Pro"), seen(title="iPhone 14"), seen(title="Ｉｐｈｏｎｅ 15")]
    assert preferred(hits, understood(whole=("iphone 15",)))[0] == 2


def test_cheap_and_dear_are_told_among_the_same_kind() -> None:
    hits = [seen(price=4000), seen(price=900), seen("手机壳", 9), seen(price=2000)]
    assert preferred(hits, understood(price="low", kinds=PHONES)) == [1, 3, 0, 2]
    assert preferred(hits, understood(price="high", kinds=PHONES)) == [0, 3, 1, 2]


def test_a_price_that_is_not_known_neither_gains_nor_loses() -> None:
    hits = [seen(price=None), seen(price=100), seen(price=200)]
    assert preferred(hits, understood(price="low")) == [1, 0, 2]


def test_equal_prices_leave_the_order() -> None:
    assert preferred([seen(price=5)] * 4, understood(price="low")) == [0, 1, 2, 3]


HITS = st.lists(
    st.builds(
        seen,
        st.sampled_from(["智能手机", "手机壳", None]),
        st.none() | st.floats(0, 1e6),
        st.sampled_from(["小米14", "", "手机"]),
        st.none() | st.floats(-1, 1),
    ),
    max_size=2 * POOL,
)


@given(HITS, st.sampled_from(["low", "high", None]))
def test_every_hit_stays_and_those_behind_the_pool_where_they_were(
    hits: list[Seen], price: str | None
) -> None:
    order = preferred(hits, understood(price=price, kinds=PHONES, whole=("小米14",)))
    assert sorted(order) == list(range(len(hits)))
    assert order[POOL:] == list(range(POOL, len(hits)))
