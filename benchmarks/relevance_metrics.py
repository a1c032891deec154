"""How good lists of hits are, by the grades of judged queries: per query, per class, and one way against another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean

import ir_measures
from ir_measures import RR, R, Success, nDCG
from scipy.stats import bootstrap

from sample_catalogue import JudgedQuery, Product
from sample_catalogue.judging import Part

Grades = Mapping[str, int]
"""Of the products that answer a query, the grade of each by id: 1 or 2."""

DEPTH = 100
RESAMPLES = 9999
_SEED = 7
# As the gates of a release count: a product that answers exactly is worth three that answer somewhat.
_NDCG = nDCG(gains={1: 1, 2: 3}) @ 10
_RECALL = R(rel=2) @ DEPTH
_FIRST = RR(rel=2)
_SUCCESS = Success(rel=2) @ 10


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one query, or the means over several. All but nDCG count exact answers (grade 2) only."""

    ndcg: float
    recall: float
    mrr: float
    success: float
    zero: float


MEASURES: Mapping[str, str] = {
    "ndcg": "nDCG@10",
    "recall": "recall@100",
    "mrr": "MRR",
    "success": "success@10",
    "zero": "no hits",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """One query's figures."""

    query: JudgedQuery
    figures: Figures


@dataclass(frozen=True, slots=True)
class Gain:
    """How much more one way has than another, over the same queries, with a 95 % interval of the mean (BCa)."""

    mean: float
    low: float
    high: float


def grades_of(queries: Iterable[JudgedQuery], products: Sequence[Product]) -> dict[str, Grades]:
    """Grades by a query's text; queries that no product of this catalogue answers exactly are left out."""
    found: dict[str, Grades] = {}
    for query in queries:
        grades = {product.sku: grade for product in products if (grade := query.grade(product))}
        if 2 in grades.values():
            found[query.text] = grades
    return found


def scored(
    queries: Iterable[JudgedQuery], grades: Mapping[str, Grades], hits: Mapping[str, Sequence[str]]
) -> list[Scored]:
    """Every query that has grades, by its hits' ids, best first. Raises KeyError for a query that nobody asked."""
    asked = [query for query in queries if query.text in grades]
    # Scores that fall with the rank: the list's order is the order that counts.
    run = {query.text: {sku: -float(rank) for rank, sku in enumerate(hits[query.text])} for query in asked}
    values: dict[tuple[str, str], float] = {}
    for value in ir_measures.iter_calc([_NDCG, _RECALL, _FIRST, _SUCCESS], _plain(grades, asked), run):
        values[value.query_id, str(value.measure)] = value.value
    return [
        Scored(
            query,
            Figures(
                ndcg=values[query.text, str(_NDCG)],
                recall=values[query.text, str(_RECALL)],
                mrr=values[query.text, str(_FIRST)],
                success=values[query.text, str(_SUCCESS)],
                zero=0.0 if run[query.text] else 1.0,
            ),
        )
        for query in asked
    ]


def mean(results: Iterable[Scored]) -> Figures:
    """The means over queries. Raises StatisticsError for none."""
    figures = [result.figures for result in results]
    return Figures(
        **{field.name: fmean(getattr(one, field.name) for one in figures) for field in fields(Figures)}
    )


def of_class(results: Iterable[Scored], query_class: str) -> list[Scored]:
    """Those of one class."""
    return [result for result in results if result.query.query_class == query_class]


def of_part(results: Iterable[Scored], part: Part) -> list[Scored]:
    """Those of one part."""
    return [result for result in results if result.query.part == part]


def gain(ours: Sequence[Scored], theirs: Sequence[Scored]) -> Gain:
    """How much more nDCG@10 ours have, query by query. Raises ValueError when the queries are not the same."""
    if [one.query.text for one in ours] != [one.query.text for one in theirs]:
        raise ValueError("ours and theirs are not of the same queries in the same order")
    more = [one.figures.ndcg - other.figures.ndcg for one, other in zip(ours, theirs, strict=True)]
    if len(set(more)) == 1:
        return Gain(more[0], more[0], more[0])
    interval = bootstrap(
        (more,), fmean, n_resamples=RESAMPLES, vectorized=False, rng=_SEED
    ).confidence_interval
    return Gain(fmean(more), float(interval.low), float(interval.high))


def recall_ceiling(grades: Grades) -> float:
    """The most that recall@100 can be: more products may answer exactly than are asked for."""
    exact = sum(grade == 2 for grade in grades.values())
    return min(1.0, DEPTH / exact)


def _plain(grades: Mapping[str, Grades], asked: Iterable[JudgedQuery]) -> dict[str, dict[str, int]]:
    return {query.text: dict(grades[query.text]) for query in asked}
