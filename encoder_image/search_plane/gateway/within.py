"""Within what a query's hits must lie: the caller's filters and what the query itself rules in or out. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from pydantic import JsonValue

from search_plane.gateway.filters import NO_FILTERS, Filters, field_value, texts
from search_plane.release.record import CatalogueFields
from search_plane.release.stored import BRAND_FIELD
from search_plane.stores.expression import literal
from search_plane.understanding.folding import folded
from search_plane.understanding.understood import Understood


@dataclass(frozen=True, slots=True)
class Within:
    """`excluded` are words that neither title nor category of a hit holds, `excluded_brands` values of its brand.

    With `fitting` its title holds one of these names, or its brand is one of `fitting_brands`.
    """

    filters: Filters = NO_FILTERS
    excluded: tuple[str, ...] = ()
    excluded_brands: tuple[str, ...] = ()
    fitting: tuple[str, ...] = ()
    fitting_brands: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is restricted."""
        return self != EVERYTHING

    @property
    def thins(self) -> bool:
        """Whether hits fall out that neither search could leave out."""
        return bool(self.excluded or self.fitting)

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
        brands = frozenset(texts(field_value(document, fields.brand)))
        if not brands.isdisjoint(self.excluded_brands):
            return False
        if not self.excluded and not self.fitting:
            return True
        title = folded(str(field_value(document, fields.title)))
        if (
            self.fitting
            and brands.isdisjoint(self.fitting_brands)
            and not any(_says(title, name) for name in self.fitting)
        ):
            return False
        told = f"{title} {folded(str(field_value(document, fields.category)))}"
        return not any(_says(told, word) for word in self.excluded)


EVERYTHING: Final = Within()


def within(filters: Filters, understood: Understood) -> Within:
    """The caller's filters, and beside them what the query says: a certain brand, bounds of the price.

    A brand counts unless the caller chose brands, a bound where it is the narrower one and leaves anything.
    """
    fitting = understood.fitting if understood.brands and not filters.brands else ()
    if understood.brand_certain and understood.brands and not filters.brands and not fitting:
        filters = replace(filters, brands=tuple(sorted(set(understood.brands))))
    least = _narrower(max, filters.price_min, understood.price_min)
    most = _narrower(min, filters.price_max, understood.price_max)
    if least is None or most is None or least <= most:
        filters = replace(filters, price_min=least, price_max=most)
    return Within(
        filters,
        understood.excluded,
        understood.excluded_brands,
        fitting,
        understood.brands if fitting else (),
    )


def _narrower(choose: Callable[[list[float]], float], *bounds: float | None) -> float | None:
    given = [bound for bound in bounds if bound is not None]
    return choose(given) if given else None


def _says(told: str, word: str) -> bool:
    """Whether a folded text holds the word: Chinese anywhere, Latin only in one piece (mi is not in mini)."""
    word = word.casefold()
    return word in told and (not word.isascii() or _in_one_piece(word).search(told) is not None)


@lru_cache(maxsize=1024)
def _in_one_piece(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])")
