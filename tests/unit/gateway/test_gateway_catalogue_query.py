"""What the catalogue is asked for a query's words. What it finds is asked of a real one, tests/integration."""

from typing import Any

from search_plane.gateway.catalogue_query import PRICE_STEPS, told_facets, words_query, words_search
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.gateway.index_fields import IndexFields, unread
from search_plane.release.record import CatalogueFields
from search_plane.understanding.understood import Correction, Understood, as_written

FIELDS = IndexFields(
    "name", "price", "stock", "brand", "category", "brand", "category", ("name.pinyin",), price_is_number=True
)


def wordings(query: dict[str, Any]) -> list[dict[str, Any]]:
    (must,) = query["bool"]["must"]
    found: list[dict[str, Any]] = must["bool"]["should"]
    assert must["bool"]["minimum_should_match"] == 1
    return found


def test_words_are_looked_for_within_the_catalogues_filter_and_the_callers() -> None:
    query = words_query(as_written("蓝牙耳机"), FIELDS, Filters(in_stock=True), "on_sale:true")
    assert query["bool"]["filter"] == [
        {"query_string": {"query": "on_sale:true"}},
        {"range": {"stock": {"gt": 0}}},
    ]
    assert "must_not" not in query["bool"]
    by_word = wordings(query)[0]["multi_match"]
    assert by_word["query"] == "蓝牙耳机"
    assert [name.partition("^")[0] for name in by_word["fields"]] == [
        "name", "category", "brand", "name.pinyin"
    ]  # fmt: skip


def test_typos_are_bounded() -> None:
    (fuzzy,) = [
        one["match"]["name"]
        for one in wordings(words_query(as_written("blutooth"), FIELDS, NO_FILTERS))
        if "fuzziness" in str(one)
    ]
    assert (fuzzy["fuzziness"], fuzzy["prefix_length"], fuzzy["max_expansions"]) == ("AUTO:4,9", 1, 20)


def test_what_is_understood_is_asked_for() -> None:
    understood = Understood(
        "小米 20W 充电器",
        "20W 充电器",
        brands=("小米",),
        whole=("20W",),
        alternatives=(("便宜", "实惠", "性价比高"),),
        excluded=("苹果",),
    )
    query = words_query(understood, FIELDS, NO_FILTERS)
    asked = wordings(query)
    assert any(one.get("multi_match", {}).get("type") == "phrase" and "20W" in str(one) for one in asked)
    (same,) = [one["dis_max"]["queries"] for one in asked if "dis_max" in one]
    assert [one["multi_match"]["query"] for one in same] == ["便宜", "实惠", "性价比高"]
    assert same[0]["multi_match"]["boost"] > same[1]["multi_match"]["boost"]
    (brand,) = [one["constant_score"] for one in asked if "constant_score" in one]
    assert brand["filter"] == {"terms": {"brand": ["小米"]}}
    (unwanted,) = query["bool"]["must_not"]
    assert unwanted["multi_match"]["query"] == "苹果"


def test_another_model_counts_less_and_an_unwanted_brand_not_at_all() -> None:
    understood = Understood(
        "iphone 15 壳", "iphone 15 壳", whole=("iphone 15",), other_models=("iphone 15 pro",),
        brands=("苹果",), excluded_brands=("倍思",),
    )  # fmt: skip
    told = words_query(understood, FIELDS, NO_FILTERS)["boosting"]
    assert 0 < told["negative_boost"] < 1
    assert "iphone 15 pro" in str(told["negative"])
    assert told["positive"]["bool"]["must_not"] == [{"terms": {"brand": ["倍思"]}}]


def test_a_price_word_prefers_and_never_rules_out() -> None:
    cheap = Understood("便宜的耳机", "便宜的耳机", price="low")
    told = words_query(cheap, FIELDS, NO_FILTERS)["function_score"]
    assert told["query"] == words_query(as_written("便宜的耳机"), FIELDS, NO_FILTERS)
    constant, by_price = told["functions"]
    assert (constant["weight"], told["score_mode"], told["boost_mode"]) == (1.0, "sum", "multiply")
    assert 0 < by_price["weight"] < 1
    # Where prices are no numbers a decay by them would fail the search.
    assert "function_score" not in words_query(cheap, unread(CatalogueFields()), NO_FILTERS)


def test_a_facet_leaves_its_own_restriction_out() -> None:
    filters = Filters(category="数码", brands=("小米",), price_max=100.0)
    body = words_search(as_written("耳机"), FIELDS, filters, "", 60, facets=True)
    own = filters.clauses(FIELDS)
    assert body["post_filter"] == {"bool": {"filter": list(own.values())}}
    assert body["query"]["bool"]["filter"] == []
    for name in ("brand", "category", "price"):
        held = body["aggs"][name]["filter"]["bool"]["filter"]
        assert held == [clause for by, clause in own.items() if by != name]
    assert body["aggs"]["in_stock"]["filter"]["bool"]["filter"] == list(own.values())
    ranges = body["aggs"]["price"]["aggs"]["values"]["range"]["ranges"]
    assert ranges[0] == {"to": PRICE_STEPS[0]}
    assert ranges[-1] == {"from": PRICE_STEPS[-1]}
    assert len(ranges) == len(PRICE_STEPS) + 1


def test_without_facets_nothing_is_counted() -> None:
    body = words_search(as_written("耳机"), FIELDS, Filters(in_stock=True), "", 60, facets=False)
    assert set(body) == {"size", "_source", "query"}


def test_facets_that_did_not_come_are_empty() -> None:
    assert told_facets({}) == {"brand": [], "category": [], "price": [], "in_stock": 0}


def test_the_kind_that_is_meant_matches_by_its_category() -> None:
    understood = Understood("手提电脑", "手提电脑", kinds=(("笔记本电脑", 0.6), ("平板电脑", 0.4)))
    asked = wordings(words_query(understood, FIELDS, NO_FILTERS))
    kinds = [one["constant_score"] for one in asked if "constant_score" in one]
    assert [one["filter"]["term"]["category"] for one in kinds] == ["笔记本电脑", "平板电脑"]
    assert kinds[0]["boost"] > kinds[1]["boost"]
    assert "笔记本电脑" not in str(words_query(understood, unread(CatalogueFields()), NO_FILTERS))


def test_what_fits_is_of_the_brand_or_names_it() -> None:
    understood = Understood("小米手机壳", "手机壳", brands=("小米",), fitting=("小米", "红米"))
    (fits,) = words_query(understood, FIELDS, NO_FILTERS)["bool"]["filter"]
    assert fits["bool"]["should"] == [
        {"terms": {"brand": ["小米"]}},
        {"match_phrase": {"name": "小米"}},
        {"match_phrase": {"name": {"query": "小米", "analyzer": "standard"}}},
        {"match_phrase": {"name": "红米"}},
        {"match_phrase": {"name": {"query": "红米", "analyzer": "standard"}}},
    ]


def test_brands_that_are_not_wanted_are_ruled_out() -> None:
    understood = Understood("手机", "手机", excluded=("apple",), excluded_brands=("苹果",))
    assert {"terms": {"brand": ["苹果"]}} in words_query(understood, FIELDS, NO_FILTERS)["bool"]["must_not"]


def test_another_model_of_the_series_loses_and_stays() -> None:
    understood = Understood("iphone 15", "iphone 15", whole=("iphone 15",), other_models=("iphone 15 pro",))
    boosting = words_query(understood, FIELDS, NO_FILTERS)["boosting"]
    assert 0 < boosting["negative_boost"] < 1
    assert "iphone 15 pro" in str(boosting["negative"])


def test_a_measure_is_looked_for_in_its_other_units_too() -> None:
    (same,) = [
        one["dis_max"]["queries"]
        for one in wordings(words_query(Understood("大米 10斤", "大米", whole=("10斤",)), FIELDS, NO_FILTERS))
        if "dis_max" in one
    ]
    assert {"10斤", "5kg"} <= {one["multi_match"]["query"] for one in same}


def test_a_preferred_brand_may_stand_in_the_title_alone() -> None:
    understood = Understood(
        "小米手机壳", "手机壳", brands=("小米/Xiaomi",), brand_spellings=("小米", "xiaomi")
    )
    (brand,) = [
        one["constant_score"]["filter"]["bool"]["should"]
        for one in wordings(words_query(understood, FIELDS, NO_FILTERS))
        if "constant_score" in one
    ]
    assert brand == [
        {"terms": {"brand": ["小米/Xiaomi"]}},
        {"match_phrase": {"name": "小米"}},
        {"match_phrase": {"name": {"query": "小米", "analyzer": "standard"}}},
        {"match_phrase": {"name": "xiaomi"}},
    ]


def test_what_was_typed_counts_less_than_what_means_the_same() -> None:
    understood = Understood(
        "蓝牙耳机",
        "蓝牙耳机",
        alternatives=(("耳机", "耳麦"), ("蓝牙", "蓝芽")),
        corrections=(Correction("蓝芽", "蓝牙"),),
    )
    same, typed = [
        one["dis_max"]["queries"]
        for one in wordings(words_query(understood, FIELDS, NO_FILTERS))
        if "dis_max" in one
    ]
    assert [one["multi_match"]["query"] for one in typed] == ["蓝牙", "蓝芽"]
    assert 0 < typed[1]["multi_match"]["boost"] < same[1]["multi_match"]["boost"]


def test_a_model_is_found_with_and_without_its_space() -> None:
    told = str(words_query(Understood("iphone 15", "", whole=("iphone 15",)), FIELDS, NO_FILTERS))
    assert "'query': 'iphone15', 'type': 'phrase'" in told
    assert "'query': 'iphone 15', 'type': 'phrase'" in told
