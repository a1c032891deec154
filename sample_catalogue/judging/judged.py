"""The judged queries of `queries/*.toml` and `held_out.toml`, and the grades that their rules give products."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from sample_catalogue.judging.rules import Rule, RuleError, rule_of
from sample_catalogue.product import Product

QUERY_CLASSES = (
    "synonyms", "brand", "gifts", "slang", "typos", "negation", "price", "plain", "units", "accessories",
)  # fmt: skip
"""One file of queries to tune on each, and a list in the file of those held out."""

Part = Literal["tuning", "held-out"]
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query and its judge: `exact` products get grade 2, others of `related` grade 1, the rest 0.

    Relevance may be tuned on the queries whose `part` is tuning; those held out only measure it, by their totals.
    """

    text: str
    query_class: str
    part: Part
    exact: Rule
    related: Rule

    def grade(self, product: Product) -> int:
        """How well the product answers the query: 2 exactly, 1 somewhat, 0 not at all."""
        if any(condition.holds(product) for condition in self.exact):
            return 2
        return 1 if any(condition.holds(product) for condition in self.related) else 0


@cache
def judged_queries() -> tuple[JudgedQuery, ...]:
    """All queries, class by class. Raises RuleError naming the file and the query."""
    held_out = _read("held_out.toml")
    if unknown := held_out.keys() - set(QUERY_CLASSES):
        raise RuleError(f"held_out.toml: {', '.join(sorted(unknown))}: no such class of queries")
    queries = [
        query
        for query_class in QUERY_CLASSES
        for query in (
            *_queries(
                f"{query_class}.toml",
                query_class,
                "tuning",
                _read("queries", f"{query_class}.toml")["queries"],
            ),
            *_queries("held_out.toml", query_class, "held-out", held_out.get(query_class, [])),
        )
    ]
    texts = [query.text for query in queries]
    if twice := {text for text in texts if texts.count(text) > 1}:
        raise RuleError(f"queries that are there twice: {', '.join(sorted(twice))}")
    return tuple(queries)


def judgements(
    products: Iterable[Product], queries: Iterable[JudgedQuery] | None = None
) -> list[dict[str, object]]:
    """What the gates' judged queries are made of: each query with the grade of every product that answers it.

    `{"query": "便宜的蓝牙耳机", "relevant": {"<sku>": 2, ...}}`; a query that no product answers is left out.
    `queries` are all of them unless others are given.
    """
    asked = judged_queries() if queries is None else tuple(queries)
    relevant: dict[str, dict[str, int]] = {query.text: {} for query in asked}
    for product in products:
        for query in asked:
            if grade := query.grade(product):
                relevant[query.text][product.sku] = grade
    return [{"query": text, "relevant": grades} for text, grades in relevant.items() if grades]


def _read(*path: str) -> dict[str, list[Entry]]:
    return tomllib.loads(resources.files("sample_catalogue.judging").joinpath(*path).read_text("utf-8"))


def _queries(file: str, query_class: str, part: Part, entries: Iterable[Entry]) -> list[JudgedQuery]:
    return [_query(file, query_class, part, entry) for entry in entries]


def _query(file: str, query_class: str, part: Part, entry: Entry) -> JudgedQuery:
    try:
        if unknown := entry.keys() - {"text", "exact", "related"}:
            raise RuleError(f"{', '.join(sorted(unknown))}: no such key; there are text, exact and related")
        related = rule_of(entry["related"]) if "related" in entry else ()
        return JudgedQuery(entry["text"], query_class, part, rule_of(entry["exact"]), related)
    except (KeyError, RuleError) as error:
        raise RuleError(f"{file}: {entry.get('text', 'a query without a text')}: {error}") from error
