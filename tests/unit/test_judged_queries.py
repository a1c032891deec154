"""The judged queries: rules that hold for something, classes that are large enough, some of each held out."""

from collections import Counter
from collections.abc import Iterator

import pytest

from sample_catalogue import JUDGED_QUERIES, QUERY_CLASSES, JudgedQuery, Product, generate, judgements
from sample_catalogue.judging.rules import Condition, RuleError, rule_of

FIRST_QUERIES = {
    "便宜的蓝牙耳机", "适合送老人的保健品", "小米手机充电器", "熬粥的小米", "五常大米", "脆甜的苹果", "苹果手机",
    "土豪专属降噪耳机", "爸妈用的大字手机", "给爷爷奶奶泡脚的盆", "学生党性价比高的平板", "宝宝辅食米粉",
    "三只松树坚果", "量血压的仪器",
}  # fmt: skip


@pytest.fixture(scope="module")
def many() -> list[Product]:
    return list(generate(10_000, 7))


@pytest.fixture(scope="module")
def grades(many: list[Product]) -> dict[str, Counter[int]]:
    """Of each query, how many of the first 5,000 products have each grade."""
    return {query.text: Counter(map(query.grade, many[:5000])) for query in JUDGED_QUERIES}


def judged(text: str) -> JudgedQuery:
    return next(query for query in JUDGED_QUERIES if query.text == text)


def conditions(query: JudgedQuery) -> Iterator[Condition]:
    for condition in query.exact + query.related:
        yield condition
        yield from condition.excluded


def test_there_are_240_queries_and_20_in_every_class() -> None:
    assert len(JUDGED_QUERIES) >= 240
    counted = Counter(query.query_class for query in JUDGED_QUERIES)
    assert set(counted) == set(QUERY_CLASSES)
    assert min(counted.values()) >= 20


def test_the_first_queries_of_the_gates_are_still_among_them() -> None:
    assert {query.text for query in JUDGED_QUERIES} >= FIRST_QUERIES


def test_every_class_has_enough_queries_that_nothing_is_tuned_on() -> None:
    held_out = Counter(query.query_class for query in JUDGED_QUERIES if query.part == "held-out")
    assert set(held_out) == set(QUERY_CLASSES)
    assert min(held_out.values()) >= 12


@pytest.mark.parametrize("query", JUDGED_QUERIES, ids=lambda query: query.text)
def test_every_query_has_exact_answers_and_non_answers(
    grades: dict[str, Counter[int]], query: JudgedQuery
) -> None:
    counted = grades[query.text]
    assert counted[2] >= 2, counted
    assert counted[0] >= 1000, counted


@pytest.mark.parametrize("query", JUDGED_QUERIES, ids=lambda query: query.text)
def test_every_value_of_every_rule_occurs(many: list[Product], query: JudgedQuery) -> None:
    """A rule with a misspelt value would judge nothing, or what was not meant."""
    for condition in conditions(query):
        assert any(condition.holds(product) for product in many), condition
        for key, wanted in condition.labels:
            for value in wanted:
                single = Condition(labels=((key, (value,)),))
                assert any(single.holds(product) for product in many), (key, value)
        for key, wanted in condition.attributes:
            for value in wanted:
                single = Condition(labels=condition.labels, attributes=((key, (value,)),))
                assert any(single.holds(product) for product in many), (key, value)


def test_the_maker_and_the_grain_are_graded_apart(many: list[Product]) -> None:
    for product in many:
        if product.brand == "小米":
            assert judged("熬粥的小米").grade(product) == 0
        if product.labels.product_type == "小米":
            assert judged("小米充电器").grade(product) == judged("小米手机").grade(product) == 0


def test_apples_and_apple_are_graded_apart(many: list[Product]) -> None:
    for product in many:
        if product.brand == "苹果":
            assert judged("脆甜的苹果").grade(product) == 0
        if product.labels.product_type == "苹果":
            assert judged("苹果手机").grade(product) == judged("苹果耳机").grade(product) == 0


def test_what_is_not_wanted_is_no_answer(many: list[Product]) -> None:
    phones = [product for product in many if product.labels.product_type == "智能手机"]
    for phone in phones:
        assert judged("非苹果手机").grade(phone) == (0 if phone.brand == "苹果" else 2)


def test_judgements_are_of_the_queries_that_are_asked_for(many: list[Product]) -> None:
    [line] = judgements(many[:500], [judged("五常大米")])
    assert line["query"] == "五常大米"
    types = {product.sku: product.labels.product_type for product in many[:500]}
    assert line["relevant"] == {
        sku: {"大米": 2, "小米": 1}[kind] for sku, kind in types.items() if kind in ("大米", "小米")
    }


def test_prices_are_bounded_on_both_sides(many: list[Product]) -> None:
    [between], [above] = rule_of({"price": [100, 200]}), rule_of({"price": [5000, 0]})
    for product in many[:1000]:
        assert between.holds(product) == (100 <= product.price <= 200)
        assert above.holds(product) == (product.price >= 5000)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "is no condition"),
        ("大米", "is no condition"),
        ({"tipe": "大米"}, "tipe: no such key; there are type"),
        ({"type": ""}, "type = '' is no value"),
        ({"type": "大米、"}, "is no value"),
        ({"type": ["大米"]}, "is no value"),
        ({"price": [20, 10]}, "is no range"),
        ({"not": {"colour": "红"}}, "colour: no such key"),
    ],
)
def test_a_bad_rule_is_refused_by_what_is_wrong(entry: object, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        rule_of(entry)
