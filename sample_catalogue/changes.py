"""What happens to a catalogue once loaded: new prices and titles, deletions, arrivals, bad documents."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sample_catalogue.generate import generate, sku
from sample_catalogue.product import Document, Product
from sample_catalogue.words import wording


class ChangeKind(StrEnum):
    """What a change does; only PRICE leaves brand, title and category as they were."""

    PRICE = "price"
    TITLE = "title"
    DELETED = "deleted"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one product; `document` is the whole new document, None when the product is deleted."""

    kind: ChangeKind
    sku: str
    document: Document | None

    @property
    def changes_text(self) -> bool:
        """Whether a vector made of the product's text must be made anew."""
        return self.kind in (ChangeKind.TITLE, ChangeKind.ADDED)


def mutate(
    seed: int,
    catalogue: int,
    *,
    at: datetime,
    repriced: int = 0,
    retitled: int = 0,
    deleted: int = 0,
    added: int = 0,
    first: int = 0,
) -> Iterator[Change]:
    """Yields changes to the catalogue of `catalogue` products that `generate(catalogue, seed)` gives.

    No product is changed twice: changes are numbered, and `first` is the number of this call's first one, so
    a later round passes the sum of all that earlier rounds changed, deleted and added. `at` (with a time
    zone) becomes `updated_at`. The same arguments always give the same changes. Raises ValueError when the
    rounds ask for more products than there are, or `at` has no time zone.
    """
    touched = repriced + retitled + deleted
    if min(catalogue, repriced, retitled, deleted, added, first) < 0 or first + touched > catalogue:
        raise ValueError(
            f"changes {first} to {first + touched} do not fit a catalogue of {catalogue} products"
        )
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = [ChangeKind.PRICE] * repriced + [ChangeKind.TITLE] * retitled + [ChangeKind.DELETED] * deleted
    for number, kind in enumerate(kinds, start=first):
        position = _scattered(number, catalogue)
        if kind is ChangeKind.DELETED:
            yield Change(kind, sku(seed, position), None)
            continue
        product = next(generate(1, seed, position))
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 - sample data, nothing secret
        new = _new_price(product, rng) if kind is ChangeKind.PRICE else _new_title(product, rng)
        yield Change(kind, product.sku, product.document() | new | {"updated_at": stamp})
    for product in generate(added, seed, catalogue + first):
        yield Change(ChangeKind.ADDED, product.sku, product.document() | {"updated_at": stamp})


def _scattered(number: int, catalogue: int) -> int:
    """A different position for each number below `catalogue`, spread over all of it."""
    stride = max(1, int(catalogue * 0.618))
    while math.gcd(stride, catalogue) != 1:
        stride += 1
    return number * stride % catalogue


def _new_price(product: Product, rng: random.Random) -> Document:
    cheaper = max(0.01, round(product.price * rng.uniform(0.7, 0.95), 2))
    return {
        "price": cheaper if cheaper != product.price else product.price + 1,
        "stock": rng.randrange(1, 3000),
    }


def _new_title(product: Product, rng: random.Random) -> Document:
    revision = rng.choice(wording().revisions)
    return {"title": rng.choice((f"{product.title} {revision}", f"【{revision}】{product.title}"))}


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A document that some careless writer left in the catalogue.

    `kind` names the fault. `id` is what Elasticsearch should store it under. `accepted` says whether an
    index made from `index_definition()` takes the document at all. `text_is_faulty` says that brand, title or
    category isn't text, or that the title says nothing.
    """

    kind: str
    id: str
    document: Document
    accepted: bool
    text_is_faulty: bool


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: str
    spoil: Callable[[Document], Document]
    accepted: bool = True
    text_is_faulty: bool = True


def _set(**fields: object) -> Callable[[Document], Document]:
    return lambda document: document | fields


def _without(*fields: str) -> Callable[[Document], Document]:
    return lambda document: {key: value for key, value in document.items() if key not in fields}


def _long_title(document: Document) -> Document:
    unit = f"{document['title']} "
    size = len(unit.encode())
    return document | {"title": unit * (40 * 1024 // size + 1)}


_FAULTS = (
    _Fault("missing-title", _without("title")),
    _Fault("null-title", _set(title=None)),
    _Fault("empty-title", _set(title="")),
    _Fault("blank-title", _set(title=" \u3000\t ")),
    _Fault("invisible-title", _set(title="\u200b\u200d\ufeff")),
    _Fault("number-title", _set(title=20231111)),
    _Fault("boolean-title", _set(title=True)),
    _Fault("list-title", _set(title=["蓝牙耳机", "无线耳机"])),
    _Fault("object-title", _set(title={"zh": "蓝牙耳机"}), accepted=False),
    _Fault("long-title-40k", _long_title, text_is_faulty=False),
    _Fault("html-title", _set(title="<b>蓝牙耳机</b>&nbsp;<script>alert(1)</script>"), text_is_faulty=False),
    _Fault("null-brand-and-category", _set(brand=None, category=None), text_is_faulty=False),
    _Fault("number-brand", _set(brand=360)),
    _Fault("all-text-empty", _set(title="", brand="", category="")),
    _Fault("all-text-null", _set(title=None, brand=None, category=None)),
    _Fault("all-text-missing", _without("title", "brand", "category")),
    _Fault("no-sku", _without("sku"), text_is_faulty=False),
    _Fault("number-sku", _set(sku=10001), text_is_faulty=False),
    _Fault("word-price", _set(price="面议"), text_is_faulty=False),
    _Fault("null-price-and-stock", _set(price=None, stock=None), text_is_faulty=False),
    _Fault("negative-price", _set(price=-1.0), text_is_faulty=False),
    _Fault("word-stock", _set(stock="有货"), text_is_faulty=False),
    _Fault("word-date", _set(updated_at="昨天"), text_is_faulty=False),
    _Fault("text-attributes", _set(attributes="颜色:黑"), accepted=False, text_is_faulty=False),
    _Fault("only-an-id", lambda document: {}),
)


def bad_documents(seed: int, count: int = len(_FAULTS)) -> Iterator[BadDocument]:
    """Yields `count` bad documents, one of each fault by default, in a fixed order that starts over.

    Their ids start with "BAD-" and name the fault, so that a job's report is easy to check against them.
    """
    for number, product in enumerate(generate(count, seed)):
        fault = _FAULTS[number % len(_FAULTS)]
        identity = f"BAD-{number:03d}-{fault.kind}"
        document = fault.spoil(product.document() | {"sku": identity})
        yield BadDocument(fault.kind, identity, document, fault.accepted, fault.text_is_faulty)
