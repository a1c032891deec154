"""Within what a query's hits must lie: the caller's filters and what the query itself rules in or out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from search_plane.gateway.filters import NO_FILTERS, Filters, field_value, texts
from search_plane.release.record import CatalogueFields
from search_plane.release.stored import BRAND_FIELD
from search_plane.stores.expression import literal
from search_plane.understanding.understood import Understood


@dataclass(frozen=True, slots=True)
class Within:
    """`excluded` are words that neither title nor category of a hit holds, `excluded_brands` brands that it is not of."""

    filters: Filters = NO_FILTERS
    excluded: tuple[str, ...] = ()
    excluded_brands: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is restricted."""
        return bool(self.filters) or bool(self.excluded) or bool(self.excluded_brands)

    def milvus(self, stored: bool) -> str:
        """A boolean expression on what the collection stores; "" restricts nothing. The join sees to the rest."""
        parts = [self.filters.milvus(stored)]
        if stored and self.excluded_brands:
            parts.append(f"{BRAND_FIELD} not in {literal(self.excluded_brands)}")
        return " and ".join(filter(None, parts))

    def lets_through(
        self, document: Mapping[str, JsonValue], fields: CatalogueFields, stock_known: bool = True
    ) -> bool:
        """Whether a product may be a hit, as the document has it."""
        if not self.filters.lets_through(document, fields, stock_known):
            return False
        if self.excluded_brands and set(self.excluded_brands) & set(
            texts(field_value(document, fields.brand))
        ):
            return False
        if not self.excluded:
            return True
        told = f"{field_value(document, fields.title)} {field_value(document, fields.category)}".casefold()
        return not any(word.casefold() in told for word in self.excluded)


EVERYTHING: Final = Within()


def within(filters: Filters, understood: Understood) -> Within:
    """What the query says for certain, a brand or a bound of the price, is a filter where the caller chose none."""
    if understood.brand_certain and understood.brands and not filters.brands:
        filters = replace(filters, brands=tuple(sorted(set(understood.brands))))
    if filters.price_min is None and filters.price_max is None:
        filters = replace(filters, price_min=understood.price_min, price_max=understood.price_max)
    return Within(filters or NO_FILTERS, understood.excluded, understood.excluded_brands)
