"""Which of the hits come first for what the query says beside its words: kind, model or measure, cheap or dear. Pure.

The two searches find by words and by meaning; both take a 6 mm mat for a 10 mm one, and neither knows what is cheap.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from search_plane.understanding.folding import folded
from search_plane.understanding.measures import names_whole
from search_plane.understanding.understood import Understood

# As many of the first hits are ordered anew; whoever pages on finds the others as they were.
POOL: Final = 30
# So many of the nearest by meaning say what kind of thing the query is about; half of what is known of that.
NEAREST: Final = 10
BY_MEANING: Final = 0.5
# A rank is worth 1 at the first place and two thirds at the last of the pool. Tuned: docs/relevance.md.
KIND_SHARE: Final = 1.0
WHOLE_SHARE: Final = 0.5
PRICE_SHARE: Final = 1.5
_K0: Final = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """One hit, as far as it can be preferred; None for what is not known. `near`: its score by meaning, if it has one."""

    title: str | None
    category: str | None
    price: float | None
    near: float | None = None


def prefers(understood: Understood) -> bool:
    """Whether the query says anything by which hits are ordered anew."""
    return bool(understood.kinds or understood.whole or understood.price)


def preferred(hits: Sequence[Seen], understood: Understood) -> list[int]:
    """The places of the hits in their new order; those after the first 30 stay where they are.

    The kinds that the query's words tell count half, those of the nearest hits by meaning the other half: neither an
    accidental word nor a mistaken meaning decides alone. A price is compared with those of its own category among the
    hits: what is cheap for a phone is dear for a cable. A category that few of the hits have is hardly what was asked
    for, and gains less by its price.
    """
    first = hits[:POOL]
    kinds = _kinds(first, understood)
    whole = understood.whole
    cheapness = _cheapness(first) if understood.price else []

    def worth(place: int) -> float:
        hit = first[place]
        value = (_K0 + 1) / (_K0 + 1 + place) + KIND_SHARE * kinds.get(hit.category or "", 0.0)
        if whole and hit.title:
            title = folded(hit.title)
            value += WHOLE_SHARE * sum(names_whole(title, name) for name in whole) / len(whole)
        if understood.price:
            value += PRICE_SHARE * (cheapness[place] if understood.price == "low" else -cheapness[place])
        return value

    ordered = sorted(range(len(first)), key=lambda place: (-worth(place), place))
    return [*ordered, *range(len(first), len(hits))]


def _kinds(hits: Sequence[Seen], understood: Understood) -> dict[str, float]:
    """How likely each category is what was asked for (0..1): by the query's words, and by the nearest hits."""
    told = dict(understood.kinds)
    scores = sorted((hit.near for hit in hits if hit.near is not None), reverse=True)[:NEAREST]
    votes = Counter(
        hit.category for hit in hits if hit.category and hit.near is not None and hit.near >= scores[-1]
    )
    if not votes:
        return told
    share = BY_MEANING / votes.total()
    return {
        category: (1.0 - BY_MEANING) * told.get(category, 0.0) + share * votes[category]
        for category in {*told, *votes}
    }


def _cheapness(hits: Sequence[Seen]) -> list[float]:
    """From -0.5, the dearest of the most frequent category, to 0.5, its cheapest; 0 for a price that is not known."""
    prices: dict[str | None, list[float]] = defaultdict(list)
    for hit in hits:
        if hit.price is not None:
            prices[hit.category].append(hit.price)
    for values in prices.values():
        values.sort()
    most = max(Counter(hit.category for hit in hits).values(), default=1)

    def cheapness(hit: Seen) -> float:
        if hit.price is None:
            return 0.0
        values = prices[hit.category]
        below = (bisect_left(values, hit.price) + bisect_right(values, hit.price)) / 2 / len(values)
        return (0.5 - below) * len(values) / most

    return [cheapness(hit) for hit in hits]
