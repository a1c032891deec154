"""What a caller may ask: the rules for `q` and `k`, and the query that passed them. Pure."""

import unicodedata
from dataclasses import dataclass

from search_plane.gateway.faults import BadQuery

MAX_CHARACTERS = 256
MAX_K = 100
# NFKC can make one character into 18; this bounds the work before the real limit can be applied.
_MAX_RAW_CHARACTERS = 4 * MAX_CHARACTERS


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may be asked: `text` is NFKC-normalised and trimmed, `k` is the number of hits wanted."""

    text: str
    k: int


def checked_query(q: str, k: int, top_k: int) -> Query:
    """The query, or BadQuery. `top_k` is the release's search depth: its own limit of `k`."""
    return Query(text=checked_text(q), k=checked_k(k, top_k))


def checked_text(q: str) -> str:
    """`q` in NFKC (full-width to half-width) and trimmed: 1..256 characters, no control characters."""
    if len(q) > _MAX_RAW_CHARACTERS:
        raise BadQuery("q", f"q must have at most {MAX_CHARACTERS} characters")
    text = unicodedata.normalize("NFKC", q).strip()
    if not text:
        raise BadQuery("q", "q must not be empty: give the words to search for, e.g. q=蓝牙耳机")
    if len(text) > MAX_CHARACTERS:
        raise BadQuery("q", f"q must have at most {MAX_CHARACTERS} characters, it has {len(text)}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise BadQuery("q", "q must not hold control characters")
    if "\ufffd" in text:
        raise BadQuery("q", "q must be UTF-8, percent-encoded")
    return text


def checked_k(k: int, top_k: int) -> int:
    """`k` when it is in 1..100 and the release searches that deep."""
    limit = min(MAX_K, top_k)
    if not 1 <= k <= limit:
        raise BadQuery("k", f"k must be between 1 and {limit}, it is {k}")
    return k
