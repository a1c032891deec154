"""From a catalogue document to the text that is embedded, or to the reason why it cannot be."""

import hashlib
import string
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search_plane.release.identity import template_fields
from search_plane.release.record import MAX_ID_LENGTH

HASH_HEX_DIGITS = 32

# Cc control characters, Cf format characters (zero-width space, BOM, soft hyphen), Cs lone surrogates.
_UNWANTED_CATEGORIES = ("Cc", "Cf", "Cs")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document ready to embed: Milvus id, text, and the hash by which an unchanged text is recognised."""

    id: str
    text: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """A document that is left out of the index; `id` is Elasticsearch's, `reason` one sentence."""

    id: str
    reason: str


class NotText(ValueError):
    """A field holds what cannot be read as text."""


class Renderer:
    """Renders documents by one text template, e.g. `{brand} {title} {attributes.color}`."""

    def __init__(self, template: str, id_field: str) -> None:
        """`id_field` names the field with the document's id; `_id` means Elasticsearch's own.

        Raises ValueError for a malformed template or one that names no field.
        """
        self.fields = template_fields(template)
        if not self.fields:
            raise ValueError(f"text template {template!r} names no field")
        self.id_field = id_field
        self._parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]

    @property
    def source_fields(self) -> list[str]:
        """The fields to ask Elasticsearch for."""
        wanted = [*self.fields, self.id_field]
        return [name for name in dict.fromkeys(wanted) if name != "_id"]

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
        return Rendered(document_id, text, content_hash(text))

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


def content_hash(text: str) -> str:
    """First 32 hex digits of the sha256 of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_HEX_DIGITS]


def clean(text: str) -> str:
    """Without control and zero-width characters, every run of whitespace one space, no space at the ends."""
    if not text.isprintable():
        text = "".join(_printable(text))
    return " ".join(text.split())


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
