"""What `make eval` tells: tables, rows against the goals, and the figures in the document."""

from dataclasses import replace

import pytest

from benchmarks.relevance import BEGINS, ENDS, document, written_into
from benchmarks.relevance_bed import Shown
from benchmarks.relevance_metrics import Figures, Scored
from benchmarks.relevance_plot import plot
from benchmarks.relevance_report import PARTS, Evaluated, as_json, gains, markdown, rows, table_rows, worst
from sample_catalogue import JUDGED_QUERIES

WORTH = {"keyword": 0.4, "semantic": 0.5, "fused": 0.7}


def figures(ndcg: float) -> Figures:
    return Figures(ndcg, ndcg, ndcg, 1.0, 0.0)


@pytest.fixture
def evaluated() -> Evaluated:
    results = {
        way: [Scored(query, figures(worth + number % 7 / 100)) for number, query in enumerate(JUDGED_QUERIES)]
        for way, worth in WORTH.items()
    }
    shown = {way: {query.text: [Shown("SP1", "一|二")] for query in JUDGED_QUERIES} for way in WORTH}
    return Evaluated("5,000 products, seed 7", results, shown, 0)


def changed(evaluated: Evaluated, way: str, query_class: str, figures: Figures) -> Evaluated:
    results = {
        name: [
            Scored(one.query, figures) if name == way and one.query.query_class == query_class else one
            for one in found
        ]
        for name, found in evaluated.results.items()
    }
    return replace(evaluated, results=results)


def test_every_class_and_all_have_a_line(evaluated: Evaluated) -> None:
    lines = table_rows(evaluated, "ndcg")
    assert len(lines) == 11
    assert lines[-1][:2] == ["all", str(len(JUDGED_QUERIES))]
    assert [round(float(cell), 1) for cell in lines[-1][2:]] == [0.4, 0.5, 0.7]


def test_the_gain_is_over_the_better_single_way_of_the_class(evaluated: Evaluated) -> None:
    turned = changed(evaluated, "keyword", "brand", figures(0.6))
    found = gains(turned)
    assert found["brand"][0] == "keyword"
    assert found["gifts"][0] == "semantic"
    assert found["gifts"][1].mean == pytest.approx(0.2)


def test_goals_that_are_missed_say_so(evaluated: Evaluated) -> None:
    assert all(row.met for row in rows(evaluated))
    worse = changed(evaluated, "fused", "brand", replace(figures(0.45), success=0.9))
    missed = [row.name for row in rows(worse) if not row.met]
    assert missed == ["ndcg_brand_vs_semantic", "success_brand"]


def test_the_worst_queries_come_first_and_none_that_is_held_out(evaluated: Evaluated) -> None:
    one, unseen = (next(query for query in JUDGED_QUERIES if query.part == part) for part in PARTS)
    results = dict(evaluated.results)
    bad = {one.text: figures(0.1), unseen.text: figures(0.0)}
    results["fused"] = [
        Scored(found.query, bad.get(found.query.text, found.figures)) for found in results["fused"]
    ]
    [line] = worst(replace(evaluated, results=results), 1)
    assert line[:2] == [one.text, one.query_class]
    assert line[-2:] == ["0.10", "一|二"]


def test_the_json_has_each_class_and_the_queries_that_may_be_looked_at(evaluated: Evaluated) -> None:
    told = as_json(evaluated)
    assert isinstance(told["ndcg"], dict)
    assert set(told["ndcg"]) == {query.text for query in JUDGED_QUERIES if query.part == "tuning"}
    assert isinstance(told["gain"], dict)
    assert told["gain"]["all"] == {"over": "semantic", "mean": 0.2, "low": 0.2, "high": 0.2}


def test_a_part_is_told_apart(evaluated: Evaluated) -> None:
    held_out = sum(query.part == "held-out" for query in JUDGED_QUERIES)
    assert f"| all | {held_out} |" in markdown(evaluated, "held-out")


def test_figures_replace_those_between_the_marks(evaluated: Evaluated) -> None:
    told = document(evaluated, None)
    once = written_into(f"before\n{BEGINS}\nold\n{ENDS}\nafter\n", told)
    assert once == written_into(once, told)
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert "一/二" in once
    with pytest.raises(ValueError, match="lacks the marks"):
        written_into("nothing", told)


def test_the_plot_is_a_png(evaluated: Evaluated, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("plot") / "relevance.png"
    plot(path, [evaluated, evaluated])
    assert path.read_bytes().startswith(b"\x89PNG")
