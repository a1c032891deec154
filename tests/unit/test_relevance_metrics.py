"""The figures of `make eval` against worked examples, and against the gates' own nDCG."""

from statistics import StatisticsError

import pytest
from search_plane.jobs.verify_judged import ndcg

from benchmarks.relevance_metrics import (
    Figures,
    Scored,
    gain,
    grades_of,
    mean,
    of_class,
    of_part,
    recall_ceiling,
    scored,
)
from sample_catalogue import JudgedQuery, generate
from sample_catalogue.judging.rules import rule_of


def query(text: str, query_class: str = "plain", part: str = "tuning") -> JudgedQuery:
    assert part in ("tuning", "held-out")
    return JudgedQuery(text, query_class, part, rule_of({"type": "大米"}), rule_of({"type": "小米"}))  # type: ignore[arg-type]


def result(text: str, ndcg_at_10: float, query_class: str = "plain", part: str = "tuning") -> Scored:
    return Scored(query(text, query_class, part), Figures(ndcg_at_10, 1.0, 1.0, 1.0, 0.0))


def test_a_worked_example() -> None:
    grades = {"米": {"a": 2, "b": 1, "c": 2}}
    [found] = scored([query("米")], grades, {"米": ["x", "a", "b"]})
    assert found.figures.recall == 0.5
    assert found.figures.mrr == 0.5
    assert found.figures.success == 1.0
    assert found.figures.zero == 0.0
    assert found.figures.ndcg == pytest.approx(ndcg(["x", "a", "b"], grades["米"]))


def test_ndcg_is_that_of_the_gates() -> None:
    products = list(generate(300))
    rice = query("大米")
    grades = grades_of([rice], products)
    hits = [product.sku for product in products if product.labels.department == "粮油调味"]
    [found] = scored([rice], grades, {"大米": hits})
    assert 0.0 < found.figures.ndcg < 1.0
    assert found.figures.ndcg == pytest.approx(ndcg(hits, grades["大米"]))


def test_products_that_answer_somewhat_are_no_success() -> None:
    [found] = scored([query("米")], {"米": {"a": 2, "b": 1}}, {"米": ["b"]})
    assert (found.figures.success, found.figures.mrr, found.figures.recall) == (0.0, 0.0, 0.0)
    assert found.figures.ndcg > 0.0


def test_success_ends_at_ten_and_recall_at_a_hundred() -> None:
    others = [f"x{number}" for number in range(100)]
    [found] = scored([query("米")], {"米": {"a": 2}}, {"米": [*others[:10], "a"]})
    assert (found.figures.success, found.figures.recall) == (0.0, 1.0)
    [found] = scored([query("米")], {"米": {"a": 2}}, {"米": [*others, "a"]})
    assert found.figures.recall == 0.0


def test_no_hits_are_counted_and_worth_nothing() -> None:
    found = scored([query("米"), query("面")], {"米": {"a": 2}, "面": {"b": 2}}, {"米": [], "面": ["b"]})
    assert found[0].figures == Figures(0.0, 0.0, 0.0, 0.0, 1.0)
    assert mean(found) == Figures(0.5, 0.5, 0.5, 0.5, 0.5)


def test_a_query_that_nobody_asked_is_an_error() -> None:
    with pytest.raises(KeyError):
        scored([query("米")], {"米": {"a": 2}}, {})


def test_a_query_without_an_exact_answer_in_the_catalogue_is_left_out() -> None:
    products = [product for product in generate(500) if product.labels.product_type != "大米"]
    assert grades_of([query("米")], products) == {}


def test_classes_and_parts() -> None:
    found = [result("a", 1.0), result("b", 0.0, "brand"), result("c", 0.5, part="held-out")]
    assert [one.query.text for one in of_class(found, "brand")] == ["b"]
    assert [one.query.text for one in of_part(found, "held-out")] == ["c"]
    with pytest.raises(StatisticsError):
        mean([])


def test_a_gain_has_an_interval_around_it() -> None:
    ours = [result(f"q{number}", 0.6 + number % 5 / 10) for number in range(40)]
    theirs = [result(f"q{number}", 0.5 + number % 7 / 20) for number in range(40)]
    found = gain(ours, theirs)
    assert found.low < found.mean < found.high
    assert found == gain(ours, theirs)
    assert gain(ours, ours).mean == gain(ours, ours).high == 0.0
    with pytest.raises(ValueError, match="not of the same queries"):
        gain(ours, theirs[::-1])


def test_recall_can_t_exceed_what_fits_into_a_hundred() -> None:
    assert recall_ceiling({f"p{number}": 2 for number in range(400)}) == 0.25
    assert recall_ceiling({"a": 2, "b": 1}) == 1.0
