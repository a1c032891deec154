"""Conditions on a product's labels and structured fields, as the files of queries write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from sample_catalogue.product import Product
from sample_catalogue.words import SEPARATOR, VocabularyError, Words

_READS: Mapping[str, Callable[[Product], Iterable[str]]] = {
    "type": lambda product: (product.labels.product_type,),
    "department": lambda product: (product.labels.department,),
    "brand": lambda product: (product.brand,),
    "fits": lambda product: (product.labels.fits_brand,),
    "fits_model": lambda product: (product.labels.fits_model,),
    "band": lambda product: (product.labels.price_band.value,),
    "audience": lambda product: (product.labels.audience,),
    "intent": lambda product: product.labels.intents,
    "meaning": lambda product: product.labels.meanings,
    "name": lambda product: (product.labels.synonyms[product.labels.product_type],),
    "model": lambda product: (product.labels.model,),
    "feature": lambda product: product.labels.features,
}


class RuleError(VocabularyError):
    """A rule that can't be used; the message says which key or value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a product must be in every respect named; of several values of one respect any will do.

    `labels` are pairs of a key and the values wanted, `attributes` likewise of the document's own attributes, `low`
    and `high` bound the price in yuan, both included; nothing of `excluded` may hold.
    """

    labels: tuple[tuple[str, Words], ...] = ()
    attributes: tuple[tuple[str, Words], ...] = ()
    low: float = 0.0
    high: float = inf
    excluded: tuple[Condition, ...] = ()

    def holds(self, product: Product) -> bool:
        """Whether the product is such a one."""
        return (
            all(any(value in wanted for value in _READS[key](product)) for key, wanted in self.labels)
            and all(product.attributes.get(key) in wanted for key, wanted in self.attributes)
            and self.low <= product.price <= self.high
            and not any(condition.holds(product) for condition in self.excluded)
        )


Rule = tuple[Condition, ...]
"""Any of these; an empty one holds for nothing."""


def rule_of(entry: Any) -> Rule:
    """A rule as TOML writes it: a table, or a list of tables any of which will do. Raises RuleError."""
    tables = entry if isinstance(entry, list) else [entry]
    return tuple(_condition(table) for table in tables)


def _condition(table: Any) -> Condition:
    if not isinstance(table, dict) or not table:
        raise RuleError(f"{table!r} is no condition: write a table such as {{type = '大米'}}")
    unknown = table.keys() - _READS.keys() - {"attribute", "price", "not"}
    if unknown:
        raise RuleError(f"{', '.join(sorted(unknown))}: no such key; there are {', '.join(_READS)}")
    low, high = table.get("price", (0, 0))
    if not 0 <= low <= (high or inf):
        raise RuleError(f"price = [{low}, {high}] is no range; 0 as the second number leaves it open")
    return Condition(
        labels=tuple((key, _values(key, value)) for key, value in table.items() if key in _READS),
        attributes=tuple((key, _values(key, value)) for key, value in table.get("attribute", {}).items()),
        low=low,
        high=high or inf,
        excluded=rule_of(table["not"]) if "not" in table else (),
    )


def _values(key: str, text: Any) -> Words:
    words = tuple(text.split(SEPARATOR)) if isinstance(text, str) else ()
    if not all(words) or not words:
        raise RuleError(f"{key} = {text!r} is no value: write a word, or several with {SEPARATOR} between")
    return words
