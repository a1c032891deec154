"""What a caller may ask: the rules for each parameter, and the query that passed them. Pure."""

import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from search_plane.gateway.faults import BadQuery
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.release.policy import Mode

MAX_CHARACTERS = 256
MAX_K = 100
MAX_BRANDS: Final = 20
DEFAULT_K: Final = 10
# NFKC can make one character into 18; this bounds the work before the real limit can be applied.
_MAX_RAW_CHARACTERS = 4 * MAX_CHARACTERS


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wrote, each part read as what it must be; none of it held against the rules yet.

    `key` names a user or a session; it is only ever hashed. `rerank` None: as the policy's cohort has it.
    """

    q: str
    k: int = DEFAULT_K
    offset: int = 0
    mode: Mode | None = None
    filters: Filters = NO_FILTERS
    understand: bool = True
    facets: bool = False
    highlight: bool = False
    rerank: bool | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may be asked: `text` is NFKC-normalised and trimmed, `k` is the number of hits wanted.

    Hits `offset` + 1 to `offset` + `k` are the answer. `mode` None: as the policy or the experiment has it.
    Without `understand` it is looked for as it is written.
    """

    text: str
    k: int
    offset: int = 0
    mode: Mode | None = None
    filters: Filters = NO_FILTERS
    understand: bool = True
    facets: bool = False
    highlight: bool = False
    rerank: bool | None = None
    key: str = ""

    @property
    def wanted(self) -> int:
        """How many of the best products the answer lies among."""
        return self.offset + self.k


def checked_query(asked: Asked, top_k: int) -> Query:
    """The query, or BadQuery. `top_k` is the release's search depth: its own limit of `offset` + `k`."""
    return Query(
        text=checked_text(asked.q),
        k=checked_k(asked.k, top_k),
        offset=checked_offset(asked.offset, asked.k, top_k),
        mode=asked.mode,
        filters=checked_filters(asked.filters),
        understand=asked.understand,
        facets=asked.facets,
        highlight=asked.highlight,
        rerank=asked.rerank,
        key=asked.key,
    )


def checked_text(q: str, name: str = "q") -> str:
    """`q` in NFKC (full-width to half-width) and trimmed: 1..256 characters, no control characters."""
    if len(q) > _MAX_RAW_CHARACTERS:
        raise BadQuery(name, f"{name} must have at most {MAX_CHARACTERS} characters")
    text = unicodedata.normalize("NFKC", q).strip()
    if not text:
        remedy = (
            "give the words to search for, e.g. q=蓝牙耳机" if name == "q" else f"leave {name} out instead"
        )
        raise BadQuery(name, f"{name} must not be empty: {remedy}")
    if len(text) > MAX_CHARACTERS:
        raise BadQuery(name, f"{name} must have at most {MAX_CHARACTERS} characters, it has {len(text)}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise BadQuery(name, f"{name} must not hold control characters")
    if "\ufffd" in text:
        raise BadQuery(name, f"{name} must be UTF-8, percent-encoded")
    return text


def checked_k(k: int, top_k: int) -> int:
    """`k` when it is in 1..100 and the release searches that deep."""
    limit = min(MAX_K, top_k)
    if not 1 <= k <= limit:
        raise BadQuery("k", f"k must be between 1 and {limit}, it is {k}")
    return k


def checked_offset(offset: int, k: int, top_k: int) -> int:
    """`offset` when it is 0 or more and the release searches as deep as the page's end."""
    if offset < 0:
        raise BadQuery("offset", f"offset must be 0 or more, it is {offset}")
    if offset + k > top_k:
        raise BadQuery(
            "offset",
            f"offset + k must be at most {top_k}, they are {offset} + {k}: narrow the search instead",
        )
    return offset


def checked_filters(filters: Filters) -> Filters:
    """The filters when each can be met. Values of the catalogue are taken as they are written there, not folded."""
    if not filters:
        return NO_FILTERS
    if filters.category is not None:
        checked_value(filters.category, "category")
    if len(filters.brands) > MAX_BRANDS:
        raise BadQuery(
            "brand", f"brand must be given at most {MAX_BRANDS} times, it is {len(filters.brands)} times"
        )
    for brand in filters.brands:
        checked_value(brand, "brand")
    low, high = filters.price_min, filters.price_max
    for name, price in (("price_min", low), ("price_max", high)):
        if price is not None and price < 0:
            raise BadQuery(name, f"{name} must be 0 or more, it is {price:g}")
    if low is not None and high is not None and low > high:
        raise BadQuery("price_min", f"price_min must not exceed price_max, they are {low:g} and {high:g}")
    # In one order, each once: equal restrictions are one entry of the cache.
    return replace(filters, brands=tuple(sorted(set(filters.brands))))


def checked_value(value: str, name: str) -> str:
    """A value of one of the catalogue's fields: 1..256 characters, no control characters."""
    checked_text(value, name)
    return value
