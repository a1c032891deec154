"""Within what a query's hits must lie: the caller's filters and what the query itself rules in or out. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from search_plane.gateway.filters import NO_FILTERS, Filters, field_value, texts
from search_plane.release.record import CatalogueFields
from search_plane.understanding.folding import folded
from search_plane.understanding.measures import names_model
from search_plane.understanding.understood import Understood


@dataclass(frozen=True, slots=True)
class Within:
    """What hits must be, and which of them come last.

    `excluded` are words that neither title nor category of a hit holds, `excluded_brands` brands that it is not of. A
    title that names one of `other_models` and none of `models` is another model's: behind all that are not.
    """

    filters: Filters = NO_FILTERS
    excluded: tuple[str, ...] = ()
    excluded_brands: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    other_models: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is restricted."""
        return bool(self.filters or self.excluded or self.excluded_brands)

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
        told = folded(f"{field_value(document, fields.title)} {field_value(document, fields.category)}")
        return not any(word in told for word in self.excluded)

    def comes_last(self, title: JsonValue) -> bool:
        """Whether a product of this title is another model than was asked for: an iphone 15 pro for iphone 15."""
        if not self.other_models or not isinstance(title, str):
            return False
        told = folded(title)
        return any(names_model(told, model) for model in self.other_models) and not any(
            names_model(told, model) for model in self.models
        )


EVERYTHING: Final = Within()


def within(filters: Filters, understood: Understood) -> Within:
    """The caller's filters, and beside them what the query says: a certain brand, bounds of the price.

    A brand counts unless the caller chose brands, a bound where it is the narrower one and leaves anything.
    """
    if understood.brand_certain and understood.brands and not filters.brands:
        filters = replace(filters, brands=tuple(sorted(set(understood.brands))))
    least = _narrower(max, filters.price_min, understood.price_min)
    most = _narrower(min, filters.price_max, understood.price_max)
    if least is None or most is None or least <= most:
        filters = replace(filters, price_min=least, price_max=most)
    other_models = understood.other_models
    found = Within(
        filters,
        understood.excluded,
        understood.excluded_brands,
        understood.whole if other_models else (),
        other_models,
    )
    return EVERYTHING if found == EVERYTHING else found


def _narrower(choose: Callable[[list[float]], float], *bounds: float | None) -> float | None:
    given = [bound for bound in bounds if bound is not None]
    return choose(given) if given else None
