"""What a search is restricted to, in the words of Elasticsearch, Milvus and one document."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.filters import NO_FILTERS, Filters, number
from search_plane.gateway.index_fields import IndexFields, index_fields, patterns, unread
from search_plane.gateway.within import EVERYTHING, Within, within
from search_plane.release.record import CatalogueFields
from search_plane.understanding.understood import Understood

FIELDS = CatalogueFields()
EXACT = IndexFields("title", "price", "stock", "brand", "category", "brand.keyword", "category")
ALL = Filters("数码", ("小米", "华为"), 10.0, 99.5, True)


def test_all_filters_in_elasticsearchs_words() -> None:
    assert ALL.elasticsearch(EXACT) == [
        {
            "bool": {
                "should": [{"term": {"category": "数码"}}, {"prefix": {"category": "数码/"}}],
                "minimum_should_match": 1,
            }
        },
        {"terms": {"brand.keyword": ["小米", "华为"]}},
        {"range": {"price": {"gte": 10.0, "lte": 99.5}}},
        {"range": {"stock": {"gt": 0}}},
    ]
    assert NO_FILTERS.elasticsearch(EXACT) == []


def test_without_a_field_of_whole_values_words_are_matched_side_by_side() -> None:
    told = str(Filters("数码", ("小米",)).elasticsearch(unread(FIELDS)))
    assert told.count("match_phrase") == 2


def test_all_filters_in_milvus_words() -> None:
    assert ALL.milvus(True) == (
        '(category == "数码" or category like "数码/%") and brand in ["小米","华为"]'
        " and price >= 10.0 and price <= 99.5"
    )
    assert Filters(price_max=5.0).milvus(True) == "price >= 0.0 and price <= 5.0"
    # Stock changes with each order, and what is not stored can't be asked.
    assert Filters(in_stock=True).milvus(True) == NO_FILTERS.milvus(True) == ALL.milvus(False) == ""
    # In a pattern these mean something else; the join sees to it.
    assert Filters(category="100%").milvus(True) == ""


@pytest.mark.parametrize("brand", ['a"b', "a\\b", "a\nb", 'x"] or price > 0 or brand in ["'])
def test_a_brand_never_ends_milvus_quotes(brand: str) -> None:
    inside = Filters(brands=(brand,)).milvus(True).removeprefix('brand in ["').removesuffix('"]')
    assert '"' not in inside.replace("\\\\", "").replace('\\"', "")
    assert "\n" not in inside


@pytest.mark.parametrize(
    ("document", "through"),
    [
        ({"category": "数码", "brand": "小米", "price": 10, "stock": 1}, True),
        ({"category": "数码/耳机", "brand": ["荣耀", "华为"], "price": "99.5", "stock": "3"}, True),
        ({"category": "数码产品", "brand": "小米", "price": 10, "stock": 1}, False),
        ({"category": "数码", "brand": "大米", "price": 10, "stock": 1}, False),
        ({"category": "数码", "brand": "小米", "price": 9.99, "stock": 1}, False),
        ({"category": "数码", "brand": "小米", "price": 100, "stock": 1}, False),
        ({"category": "数码", "brand": "小米", "price": None, "stock": 1}, False),
        ({"category": "数码", "brand": "小米", "price": 10, "stock": 0}, False),
        ({"category": "数码", "brand": "小米", "price": 10}, False),
        ({}, False),
    ],
)
def test_a_document_is_within_all_or_not(document: dict[str, Any], through: bool) -> None:
    assert ALL.lets_through(document, FIELDS) is through
    assert NO_FILTERS.lets_through(document, FIELDS)


def test_unknown_stock_is_not_held_against_a_product() -> None:
    in_stock = Filters(in_stock=True)
    assert in_stock.lets_through({}, FIELDS, stock_known=False)
    assert in_stock.lets_through({"in_stock": True}, FIELDS, stock_known=False)
    assert not in_stock.lets_through({"in_stock": False}, FIELDS, stock_known=False)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5))
def test_only_numbers_are_numbers(value: Any) -> None:
    read = number(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert read == float(value)
    elif not isinstance(value, str):
        assert read is None


def caps(**types: str) -> dict[str, dict[str, object]]:
    return {name.replace("__", "."): {kind: {}} for name, kind in types.items()}


def test_fields_are_what_the_mapping_offers() -> None:
    plain = index_fields(caps(title="text", brand="keyword", category="keyword", price="double"), FIELDS)
    assert (plain.brand_exact, plain.category_exact, plain.price_is_number) == ("brand", "category", True)
    dynamic = index_fields(
        caps(
            title="text", title__keyword="keyword", title__pinyin="text", brand="text",
            brand__keyword="keyword", category="text", price="text",
        ),
        FIELDS,
    )  # fmt: skip
    assert (dynamic.brand_exact, dynamic.category_exact) == ("brand.keyword", None)
    assert (dynamic.title_more, dynamic.price_is_number) == (("title.pinyin",), False)
    # Two indices behind one name that differ: what one of them has would fail on the other.
    mixed = index_fields({"brand": {"keyword": {}, "text": {}}, "price": {}}, FIELDS)
    assert (mixed.brand_exact, mixed.price_is_number) == (None, False)
    assert patterns(FIELDS) == [
        "title", "title.*", "brand", "brand.*", "category", "category.*", "price", "description"
    ]  # fmt: skip


def test_a_certain_brand_is_a_filter_unless_the_caller_chose() -> None:
    certain = Understood("小米手机", "手机", brands=("小米",), brand_certain=True)
    assert within(NO_FILTERS, certain).filters.brands == ("小米",)
    assert within(Filters(brands=("华为",)), certain).filters.brands == ("华为",)
    assert within(NO_FILTERS, Understood("小米", "", brands=("小米",))).filters == NO_FILTERS
    bounded = Understood("耳机", "耳机", price_min=100.0, price_max=200.0)
    assert within(NO_FILTERS, bounded).filters == Filters(price_min=100.0, price_max=200.0)
    assert within(Filters(price_max=50.0), bounded).filters == Filters(price_max=50.0)
    assert within(NO_FILTERS, Understood("小米", "小米")) == EVERYTHING
    unbranded = within(Filters(in_stock=True), Understood("手机", "手机", excluded_brands=("苹果",)))
    assert unbranded.milvus(True) == 'brand not in ["苹果"]'
    assert unbranded.milvus(False) == ""
    assert not unbranded.lets_through({"brand": ["苹果"], "stock": 1}, FIELDS)
    assert unbranded.lets_through({"brand": "小米", "stock": 1}, FIELDS)
    excluding = within(NO_FILTERS, Understood("手机 不要苹果", "手机", excluded=("苹果", "IPhone")))
    assert excluding == Within(excluded=("苹果", "IPhone"))
    assert not excluding.lets_through({"title": "适用iphone 15"}, FIELDS)
    assert not excluding.lets_through({"title": "壳", "category": "苹果手机壳"}, FIELDS)
    assert excluding.lets_through({"title": "小米手机"}, FIELDS)


def test_bounds_of_the_price_in_the_query_narrow_the_callers() -> None:
    said = Understood("耳机", "耳机", price_min=50.0, price_max=200.0)
    assert within(NO_FILTERS, said).filters == Filters(price_min=50.0, price_max=200.0)
    assert within(Filters(price_max=100.0), said).filters == Filters(price_min=50.0, price_max=100.0)
    # Nothing lies within both: the caller's own hold.
    assert within(Filters(price_max=20.0), said).filters == Filters(price_max=20.0)


def test_an_unwanted_brand_is_no_hit_however_its_title_is_written() -> None:
    without = within(
        NO_FILTERS, Understood("手机", "手机", excluded=("苹果",), excluded_brands=("苹果/Apple",))
    )
    assert not without.lets_through({"title": "手机", "brand": "苹果/Apple"}, FIELDS)
    assert not without.lets_through({"title": "手机", "brand": ["苹果/Apple", "别的"]}, FIELDS)
    assert not without.lets_through({"title": "蘋果手機"}, FIELDS)
    assert without.lets_through({"title": "小米手机", "brand": "小米"}, FIELDS)
