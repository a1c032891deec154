"""What a caller restricts a search to, in the words of Elasticsearch, of Milvus, and of one document. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from search_plane.gateway.index_fields import IndexFields
from search_plane.release.record import CatalogueFields
from search_plane.release.stored import (
    BRAND_FIELD,
    CATEGORY_FIELD,
    IN_STOCK_FIELD,
    PRICE_FIELD,
    TITLE_FIELD,
    stored_text,
)
from search_plane.stores.expression import literal

Clause = dict[str, Any]

# How a release's collection names what it stores of a product.
STORED_FIELDS: Final = CatalogueFields(
    title=TITLE_FIELD, brand=BRAND_FIELD, category=CATEGORY_FIELD, price=PRICE_FIELD
)


@dataclass(frozen=True, slots=True)
class Filters:
    """All that are given must hold; of several brands any.

    `category` is a value of the catalogue's category field, or the beginning of a path there (数码 lets 数码/耳机
    through). Prices are in the catalogue's own unit, both ends included. `in_stock`: stock above 0.
    """

    category: str | None = None
    brands: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    in_stock: bool = False

    def __bool__(self) -> bool:
        """Whether anything is restricted."""
        return self != NO_FILTERS

    def elasticsearch(self, fields: IndexFields) -> list[Clause]:
        """Clauses for a bool query's `filter`."""
        return list(self.clauses(fields).values())

    def clauses(self, fields: IndexFields) -> dict[str, Clause]:
        """One clause for each of brand, category, price and stock that is restricted, by that name."""
        clauses: dict[str, Clause] = {}
        if self.category is not None:
            clauses["category"] = _category(self.category, fields)
        if self.brands:
            clauses["brand"] = _any_of(self.brands, fields.brand_exact, fields.brand_words)
        price = {"gte": self.price_min, "lte": self.price_max}
        if bounds := {end: value for end, value in price.items() if value is not None}:
            clauses["price"] = {"range": {fields.price: bounds}}
        if self.in_stock:
            clauses["stock"] = {"range": {fields.stock: {"gt": 0}}}
        return clauses

    def milvus(self, stored: bool) -> str:
        """A boolean expression on what the collection stores; "" restricts nothing.

        Stock is not asked for: what is stored of it is as old as the last refresh, and a product that is back would not
        be found. What can't be said here the join makes sure of.
        """
        if not stored:
            return ""
        parts: list[str] = []
        if self.category is not None and not {"%", "_", "\\"} & set(self.category):
            own = literal(stored_text(CATEGORY_FIELD, self.category))
            parts.append(
                f"({CATEGORY_FIELD} == {own} or {CATEGORY_FIELD} like {literal(f'{self.category}/%')})"
            )
        if self.brands:
            parts.append(
                f"{BRAND_FIELD} in {literal([stored_text(BRAND_FIELD, one) for one in self.brands])}"
            )
        if self.price_min is not None or self.price_max is not None:
            # One without a price is stored below 0.
            parts.append(f"{PRICE_FIELD} >= {literal(float(self.price_min or 0.0))}")
        if self.price_max is not None:
            parts.append(f"{PRICE_FIELD} <= {literal(float(self.price_max))}")
        return " and ".join(parts)

    def lets_through(
        self, document: Mapping[str, JsonValue], fields: CatalogueFields, stock_known: bool = True
    ) -> bool:
        """Whether a product is within the restrictions as the document has it.

        `stock_known` False: the document is what a release stored, which at most says whether there was stock.
        """
        if not self:
            return True
        if self.category is not None and not any(
            value == self.category or value.startswith(f"{self.category}/")
            for value in texts(field_value(document, fields.category))
        ):
            return False
        if self.brands and not set(self.brands) & set(texts(field_value(document, fields.brand))):
            return False
        if self.price_min is not None or self.price_max is not None:
            price = number(field_value(document, fields.price))
            if price is None or not (self.price_min or 0.0) <= price <= _or_infinite(self.price_max):
                return False
        if not self.in_stock:
            return True
        if not stock_known:
            return document.get(IN_STOCK_FIELD) is not False
        return (number(field_value(document, fields.stock)) or 0) > 0


NO_FILTERS: Final = Filters()


def field_value(source: Mapping[str, JsonValue], path: str) -> JsonValue:
    """The value of a field in a source, None when absent; `a.b` also finds b within the object a."""
    if path in source:
        return source[path]
    head, dot, rest = path.partition(".")
    inner = source.get(head)
    return field_value(inner, rest) if dot and isinstance(inner, dict) else None


def number(value: JsonValue) -> float | None:
    """A number, also where the catalogue has it as text, as Elasticsearch reads it; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def brand_clause(brands: Sequence[str], fields: IndexFields) -> Clause:
    """Matches products of one of the brands."""
    return _any_of(brands, fields.brand_exact, fields.brand_words)


def _category(category: str, fields: IndexFields) -> Clause:
    if fields.category_exact is None:
        return {"match_phrase": {fields.category_words: category}}
    exact = fields.category_exact
    return _one_of([{"term": {exact: category}}, {"prefix": {exact: f"{category}/"}}])


def _any_of(values: Sequence[str], exact: str | None, words: str) -> Clause:
    if exact is not None:
        return {"terms": {exact: list(values)}}
    return _one_of([{"match_phrase": {words: value}} for value in values])


def _one_of(clauses: list[Clause]) -> Clause:
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def texts(value: JsonValue) -> list[str]:
    """The texts in a field's value, which may be a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _or_infinite(value: float | None) -> float:
    return float("inf") if value is None else value
