"""From a catalogue document to the text that is embedded, or to the reason why it cannot be."""

import hashlib
import string
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_plane.release.identity import template_fields
from search_plane.release.record import MAX_ID_LENGTH, CatalogueFields
from search_plane.release.stored import StoredFields, lookup, stored_fields

HASH_HEX_DIGITS = 32

# Cc control characters, Cf format characters (zero-width space, BOM, soft hyphen), Cs lone surrogates.
_UNWANTED_CATEGORIES = ("Cc", "Cf", "Cs")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document ready to embed: Milvus id, text, and the hash by which an unchanged text is recognised.

    `stored`: the product's fields that go beside the vector, None for a release without them.
    """

    id: str
    text: str
    content_hash: str
    stored: StoredFields | None = None
    row_hash: str = field(init=False)
    """What the row's hash is when nothing about it has changed: the content hash, and behind it the fields' own."""

    def __post_init__(self) -> None:
        fields_hash = self.stored.hash() if self.stored else ""
        object.__setattr__(self, "row_hash", self.content_hash + fields_hash)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A document that is left out of the index; `id` is Elasticsearch's, `reason` one sentence."""

    id: str
    reason: str


class NotText(ValueError):
    """A field holds what cannot be read as text."""


class Renderer:
    """Renders documents by one text template, e.g. `{brand} {title} {attributes.color}`."""

    def __init__(self, template: str, id_field: str, stored: CatalogueFields | None = None) -> None:
        """`id_field` names the field with the document's id; `_id` means Elasticsearch's own.

        `stored`: where a document has the fields that are stored beside its vector; None stores none.
        Raises ValueError for a malformed template or one that names no field.
        """
        self._template = template
        self._stored = stored
        self.fields = template_fields(template)
        if not self.fields:
            raise ValueError(f"text template {template!r} names no field")
        self.id_field = id_field
        self._parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]

    @property
    def source_fields(self) -> list[str]:
        """The fields to ask Elasticsearch for."""
        wanted = [*self.fields, self.id_field]
        if names := self._stored:
            wanted += [names.title, names.brand, names.category, names.price, names.stock]
        return [name for name in dict.fromkeys(wanted) if name != "_id"]

    def storing(self, fields: CatalogueFields) -> "Renderer":
        """The same renderer for a release whose rows hold the product's fields."""
        return Renderer(self._template, self.id_field, fields)

    def render(self, document_id: str, source: Mapping[str, Any]) -> Rendered | Unusable:
        """`document_id` is Elasticsearch's `_id`, `source` the (filtered) document. Never raises."""
        if reason := self._wrong_id(document_id, source):
            return Unusable(document_id, reason)
        try:
            values = {name: clean(_text(name, lookup(source, name))) for name in self.fields}
        except NotText as error:
            return Unusable(document_id, str(error))
        if not any(values.values()):
            return Unusable(document_id, f"no text in {', '.join(self.fields)}")
        text = clean("".join(literal + (values[name] if name else "") for literal, name in self._parts))
        stored = stored_fields(source, self._stored) if self._stored else None
        return Rendered(document_id, text, content_hash(text), stored)

    def _wrong_id(self, document_id: str, source: Mapping[str, Any]) -> str | None:
        if len(document_id.encode(errors="replace")) > MAX_ID_LENGTH:
            return f"id is longer than {MAX_ID_LENGTH} bytes"
        # Nearly every id is printable, and then holds none of these.
        if not document_id.isprintable() and any(
            unicodedata.category(character) in ("Cc", "Cs") for character in document_id
        ):
            return "id holds control characters"
        if self.id_field == "_id":
            return None
        value = lookup(source, self.id_field)
        if not isinstance(value, str) or not value:
            found = "missing" if value is None else f"{value!r:.40}, not a string"
            return f"{self.id_field} is {found}"
        if value != document_id:
            # The gateway joins a hit to its document by Elasticsearch's _id.
            return f"{self.id_field} is {value!r:.140} but the document's _id is another"
        return None


def content_part(row_hash: str) -> str:
    """The content hash within a row's hash."""
    return row_hash[:HASH_HEX_DIGITS]


def content_hash(text: str) -> str:
    """First 32 hex digits of the sha256 of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_HEX_DIGITS]


def clean(text: str) -> str:
    """Without control and zero-width characters, every run of whitespace one space, no space at the ends."""
    if not text.isprintable():
        text = "".join(_printable(text))
    return " ".join(text.split())


def _printable(text: str) -> Iterator[str]:
    for character in text:
        if character.isspace():
            yield " "
        elif unicodedata.category(character) not in _UNWANTED_CATEGORIES:
            yield character


def _text(name: str, value: Any) -> str:
    return value if isinstance(value, str) else " ".join(_texts(name, value))


def _texts(name: str, value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, float) and value.is_integer():
        # 5 and 5.0 are one number to Elasticsearch, so they are one text here.
        yield str(int(value))
    elif isinstance(value, int | float):
        yield str(value)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(name, item)
    else:
        raise NotText(
            f"{name} is an object; name one of its fields, e.g. {{{name}.{next(iter(value), 'field')}}}"
        )
