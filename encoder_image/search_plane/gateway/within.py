"""Within what a query's hits must lie: the caller's filters and what the query itself rules in or out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from search_plane.gateway.filters import NO_FILTERS, Filters, field_value
from search_plane.release.record import CatalogueFields
from search_plane.understanding.understood import Understood


@dataclass(frozen=True, slots=True)
class Within:
    """`excluded` are words that neither title nor category of a hit holds."""

    filters: Filters = NO_FILTERS
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is restricted."""
        return bool(self.filters) or bool(self.excluded)

    def lets_through(
        self, document: Mapping[str, JsonValue], fields: CatalogueFields, stock_known: bool = True
    ) -> bool:
        """Whether a product may be a hit, as the document has it."""
        if not self.filters.lets_through(document, fields, stock_known):
            return False
        if not self.excluded:
            return True
        told = f"{field_value(document, fields.title)} {field_value(document, fields.category)}".casefold()
        return not any(word.casefold() in told for word in self.excluded)


EVERYTHING: Final = Within()


def within(filters: Filters, understood: Understood) -> Within:
    """A brand that the query names for certain is a filter, unless the caller chose brands."""
    if understood.brand_certain and understood.brands and not filters.brands:
        filters = replace(filters, brands=tuple(sorted(set(understood.brands))))
    return Within(filters, understood.excluded) if filters or understood.excluded else EVERYTHING
