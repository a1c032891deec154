"""Conditions in Milvus' expression language. Values are escaped; nothing that a caller sends can end its literal. Pure."""

import math
from collections.abc import Sequence

import orjson

from search_plane.release.stored import (
    BRAND_FIELD,
    CATEGORY_FIELD,
    IN_STOCK_FIELD,
    PRICE_FIELD,
    stored_text,
)


def literal(value: str | float | Sequence[str]) -> str:
    """A string, a finite number or a list of strings as Milvus reads it, which takes JSON's escapes."""
    if isinstance(value, str):
        # A lone surrogate is no text, and no row holds one.
        return orjson.dumps(value.encode(errors="ignore").decode()).decode()
    if isinstance(value, int | float):
        return orjson.dumps(_finite(value)).decode()
    return f"[{','.join(map(literal, value))}]"


def stored_condition(
    category: str | None = None,
    brands: Sequence[str] = (),
    price_min: float | None = None,
    price_max: float | None = None,
    in_stock: bool = False,
) -> str:
    """The rows whose stored fields pass all that is asked for; "" for nothing asked.

    Any of the `brands` will do. Bounds of the price are inclusive; a product without a price passes neither.
    `in_stock` False asks nothing. All is as of the job that wrote the row: the catalogue may say otherwise by now.
    Raises ValueError for a bound that is not finite.
    """
    asked = []
    if category is not None:
        asked.append(f"{CATEGORY_FIELD} == {literal(stored_text(CATEGORY_FIELD, category))}")
    if brands:
        named = sorted({stored_text(BRAND_FIELD, brand) for brand in brands})
        asked.append(f"{BRAND_FIELD} in {literal(named)}")
    if price_min is not None or price_max is not None:
        least = _finite(price_min or 0.0)
        asked.append(f"{PRICE_FIELD} >= {literal(max(0.0, least))}")
    if price_max is not None:
        asked.append(f"{PRICE_FIELD} <= {literal(_finite(price_max))}")
    if in_stock:
        asked.append(f"{IN_STOCK_FIELD} == true")
    return " and ".join(asked)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number that a row can be compared with")
    return float(number)
