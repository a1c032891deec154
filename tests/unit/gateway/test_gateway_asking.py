"""Reading a search's parameters."""

import pytest
from search_plane.gateway.asking import described, read
from search_plane.gateway.candidates import depth_for
from search_plane.gateway.faults import BadQuery
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.gateway.query import Asked, checked_query


def test_everything_can_be_asked() -> None:
    asked = read(
        [
            ("q", "耳机"), ("k", "20"), ("offset", "40"), ("mode", "keyword"), ("category", "数码"),
            ("brand", "小米"), ("brand", "华为"), ("brand", "小米"), ("price_min", "9.9"), ("price_max", "100"),
            ("in_stock", "true"), ("facets", "1"), ("highlight", "yes"), ("rerank", "on"), ("session", "s-1"),
            ("utm_source", "mail"),
        ],
        {},
    )  # fmt: skip
    query = checked_query(asked, 100)
    assert (query.text, query.k, query.offset, query.wanted, query.mode) == ("耳机", 20, 40, 60, "keyword")
    # In one order, each once.
    assert query.filters == Filters("数码", ("华为", "小米"), 9.9, 100.0, True)
    assert (query.facets, query.highlight, query.rerank, query.key) == (True, True, True, "session:s-1")


def test_only_the_words_must_be_asked() -> None:
    assert read([("q", "耳机")], {}) == Asked("耳机")
    assert Asked("耳机").filters is NO_FILTERS
    # Unsaid, the user's cohort decides.
    assert (Asked("耳机").rerank, read([("q", "x"), ("rerank", "no")], {}).rerank) == (None, False)
    assert (Asked("耳机").understand, read([("q", "x"), ("understand", "no")], {}).understand) == (
        True,
        False,
    )
    with pytest.raises(BadQuery, match="q is missing"):
        read([], {})


def test_a_user_comes_before_a_session_and_a_header_before_a_parameter() -> None:
    parameters = [("q", "x"), ("user", "u"), ("session", "s")]
    assert read(parameters, {}).key == "user:u"
    assert read(parameters, {"X-User-Key": "h"}).key == "user:h"
    assert read(parameters[:1], {"X-Session-Key": "h"}).key == "session:h"


@pytest.mark.parametrize("text", ["", " 1", "1.0", "１", "0x1", "1" * 10, "--1"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(BadQuery, match="k must be a whole number") as refused:
        read([("q", "x"), ("k", text)], {})
    assert refused.value.field == "k"


@pytest.mark.parametrize("text", ["", "1e3", "inf", "nan", "¥9", "1,5"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(BadQuery, match="price_max must be a price"):
        read([("q", "x"), ("price_max", text)], {})


def test_a_long_value_is_not_told_back_whole() -> None:
    with pytest.raises(BadQuery) as refused:
        read([("q", "x"), ("mode", "m" * 10_000)], {})
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        (Filters(brands=tuple("一二三四五六七八九十甲乙丙丁戊己庚辛壬癸子")), "brand"),
        (Filters(category=" "), "category"),
        (Filters(price_min=-0.1), "price_min"),
        (Filters(price_min=2.0, price_max=1.0), "price_min"),
    ],
)
def test_filters_that_can_not_be_met_are_refused(filters: Filters, field: str) -> None:
    with pytest.raises(BadQuery) as refused:
        checked_query(Asked("x", filters=filters), 100)
    assert refused.value.field == field


@pytest.mark.parametrize(("offset", "k"), [(91, 10), (-1, 10), (100, 1)])
def test_a_page_beyond_the_releases_depth_is_refused(offset: int, k: int) -> None:
    with pytest.raises(BadQuery) as refused:
        checked_query(Asked("x", k, offset), 100)
    assert refused.value.field == "offset"


@pytest.mark.parametrize(
    ("wanted", "ef", "depth"),
    [
        (10, 128, 60),
        (49, 128, 60),
        (50, 128, 120),
        (100, 128, 120),
        (10, 16, 16),
        (60, 64, 64),
        (100, 64, 100),
    ],
)
def test_all_first_pages_have_one_depth_and_ef_never_grows(wanted: int, ef: int, depth: int) -> None:
    assert depth_for(wanted, ef) == depth


def test_every_parameter_is_described() -> None:
    told = {parameter["name"]: parameter for parameter in described()}
    assert set(told) >= {
        "q", "k", "offset", "mode", "category", "brand", "price_min", "price_max", "in_stock", "facets",
        "highlight", "rerank", "user", "session",
    }  # fmt: skip
    assert [name for name, parameter in told.items() if parameter["required"]] == ["q"]
