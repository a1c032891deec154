"""The product's fields that lie beside its vector: what is stored of a document, and what is told of a stored row. Pure."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import JsonValue

from search_plane.release.record import CatalogueFields

TITLE_FIELD: Final = "title"
BRAND_FIELD: Final = "brand"
CATEGORY_FIELD: Final = "category"
PRICE_FIELD: Final = "price"
IN_STOCK_FIELD: Final = "in_stock"
STORED_FIELDS: Final = (TITLE_FIELD, BRAND_FIELD, CATEGORY_FIELD, PRICE_FIELD, IN_STOCK_FIELD)

# Bytes of UTF-8, for that is what Milvus counts.
MAX_BYTES: Final[Mapping[str, int]] = {TITLE_FIELD: 1024, BRAND_FIELD: 256, CATEGORY_FIELD: 256}

# Milvus 2.3 knows no null. No price is below zero, so that "at least zero" tells who has one.
NO_TEXT: Final = ""
NO_PRICE: Final = -1.0

FIELDS_HASH_HEX_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class StoredFields:
    """What a row holds of its product, as of the job that wrote it. Absent: NO_TEXT, NO_PRICE, and not in stock."""

    title: str
    brand: str
    category: str
    price: float
    in_stock: bool

    def hash(self) -> str:
        """16 hex digits that change when any of the fields does."""
        fields = [self.title, self.brand, self.category, self.price, self.in_stock]
        return hashlib.sha256(orjson.dumps(fields)).hexdigest()[:FIELDS_HASH_HEX_DIGITS]

    def columns(self) -> dict[str, str | float | bool]:
        """The values by the collection's field."""
        return {
            TITLE_FIELD: self.title,
            BRAND_FIELD: self.brand,
            CATEGORY_FIELD: self.category,
            PRICE_FIELD: self.price,
            IN_STOCK_FIELD: self.in_stock,
        }


def stored_fields(source: Mapping[str, Any], fields: CatalogueFields) -> StoredFields:
    """What is stored of a catalogue document. Takes any document; what can't be read is absent.

    Of a list the first value is taken. A number as text counts as the number, as Elasticsearch has it too.
    """
    return StoredFields(
        title=stored_text(TITLE_FIELD, _plain(lookup(source, fields.title))),
        brand=stored_text(BRAND_FIELD, _plain(lookup(source, fields.brand))),
        category=stored_text(CATEGORY_FIELD, _plain(lookup(source, fields.category))),
        price=_price(lookup(source, fields.price)),
        in_stock=_in_stock(lookup(source, fields.stock)),
    )


def stored_text(field: str, text: str) -> str:
    """The text as the field holds it: cut to its MAX_BYTES. A filter must compare with this, not with the whole."""
    encoded = text.encode(errors="ignore")
    return encoded[: MAX_BYTES[field]].decode(errors="ignore")


def told(columns: Mapping[str, Any]) -> dict[str, JsonValue]:
    """A row's STORED_FIELDS for people: None where nothing is stored."""
    price = columns.get(PRICE_FIELD, NO_PRICE)
    return {
        **{field: columns.get(field) or None for field in MAX_BYTES},
        PRICE_FIELD: price if price >= 0 else None,
        IN_STOCK_FIELD: bool(columns.get(IN_STOCK_FIELD)),
    }


def lookup(source: Any, path: str) -> Any:
    """The value at a dotted path; a key holding the dots comes first; a list of objects gives a list."""
    if isinstance(source, list):
        found = [lookup(item, path) for item in source]
        return [value for value in found if value is not None] or None
    if not isinstance(source, Mapping):
        return None
    if path in source:
        return source[path]
    head, dot, rest = path.partition(".")
    return lookup(source[head], rest) if dot and head in source else None


def _plain(value: Any) -> str:
    value = _first(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else NO_TEXT


def _price(value: Any) -> float:
    number = _number(value)
    # A negative price is a fault of the catalogue's.
    return number if number is not None and number >= 0 else NO_PRICE


def _in_stock(value: Any) -> bool:
    value = _first(value)
    if isinstance(value, bool):
        return value
    number = _number(value)
    return number is not None and number > 0


def _number(value: Any) -> float | None:
    value = _first(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value
