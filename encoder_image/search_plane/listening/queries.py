"""What became of each query, counted over everybody who asked it. Pure."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import stats

from search_plane.listening.events import Search
from search_plane.release.identity import Frozen

# A query finds nothing if it does so at least so often.
_MOSTLY: Final = 0.5
# The tail: what is left when the commonest queries have made up so much of all searches.
HEAD_SHARE: Final = 0.8
# The least sure queries are those below this quantile of the searches on the same path.
UNSURE: Final = 0.1


def folded(query: str) -> str:
    """The query as it is counted: NFKC, lower case, single blanks."""
    return " ".join(unicodedata.normalize("NFKC", query).lower().split())


@dataclass(slots=True)
class Asked:
    """One query's searches, first pages only. `buckets` are those of the users who asked it.

    `sound` are searches whose answer was not degraded; a filter is no fault of the query, so `empty` leaves those out
    that had one.
    """

    query: str
    searches: int = 0
    clicked: int = 0
    abandoned: int = 0
    sound: int = 0
    unfiltered: int = 0
    empty: int = 0
    buckets: set[int] = field(default_factory=set)
    scores: dict[str, list[float]] = field(default_factory=dict)
    margins: list[float] = field(default_factory=list)


def asked(searches: Iterable[Search]) -> dict[str, Asked]:
    """Each folded query and what became of it."""
    found: dict[str, Asked] = {}
    for search in searches:
        if not search.first_page:
            continue
        shown = search.shown
        query = folded(shown.query)
        one = found.setdefault(query, Asked(query))
        one.searches += 1
        one.clicked += search.clicked
        if shown.bucket is not None:
            one.buckets.add(shown.bucket)
        if shown.degraded:
            # What came while something was away says nothing of the query.
            continue
        one.sound += 1
        one.abandoned += not search.empty and not search.clicked
        if not shown.filtered:
            one.unfiltered += 1
            one.empty += search.empty
        if shown.top_score is not None:
            one.scores.setdefault(shown.path, []).append(shown.top_score)
        if shown.margin is not None:
            one.margins.append(shown.margin)
    return found


class QueryLine(Frozen):
    """A query of a report. `top_score` and `margin` are medians, of the first hit and its lead over the second."""

    query: str
    searches: int
    buckets: int
    click_through: float
    zero_results: float
    top_score: float | None = None
    margin: float | None = None


class Part(Frozen):
    """The head or the tail of all queries; `shown` of its queries come from enough buckets to be named."""

    queries: int
    shown: int
    searches: int
    click_through: float
    zero_results: float


def line(one: Asked) -> QueryLine:
    """The query as it is told."""
    scores = [score for of_path in one.scores.values() for score in of_path]
    return QueryLine(
        query=one.query,
        searches=one.searches,
        buckets=len(one.buckets),
        click_through=one.clicked / one.searches,
        zero_results=one.empty / one.unfiltered if one.unfiltered else 0.0,
        top_score=float(np.median(scores)) if scores else None,
        margin=float(np.median(one.margins)) if one.margins else None,
    )


def zero_results(queries: Sequence[Asked]) -> list[Asked]:
    """Those that mostly find nothing, the commonest first."""
    return _by(queries, lambda one: one.empty, lambda one: one.empty >= max(1.0, _MOSTLY * one.unfiltered))


def abandoned(queries: Sequence[Asked]) -> list[Asked]:
    """Those that find something which is clicked less than usual, beyond chance; the most lost searches first."""
    everything = sum(one.sound for one in queries)
    usual = sum(one.sound - one.abandoned - one.empty for one in queries) / everything if everything else 0.0

    def below(one: Asked) -> bool:
        shown = one.sound - one.empty
        if shown <= 0 or one.abandoned == 0:
            return False
        # One-sided at 95 %: Wilson's upper limit of the click-through.
        clicks = stats.binomtest(max(0, shown - one.abandoned), shown)
        return bool(clicks.proportion_ci(0.9, "wilson").high < usual)

    return _by(queries, lambda one: one.abandoned, below)


def unsure(queries: Sequence[Asked]) -> list[Asked]:
    """Those whose first hits score low among all searches on the same path: scores of two paths can't be compared.

    On the path `fused` a low score means that meaning and words found different products.
    """
    limits: dict[str, float] = {}
    for path in {path for one in queries for path in one.scores}:
        scores = [score for one in queries for score in one.scores.get(path, ())]
        limits[path] = float(np.quantile(scores, UNSURE))

    def low(one: Asked) -> bool:
        return any(float(np.median(scores)) <= limits[path] for path, scores in one.scores.items())

    return _by(queries, lambda one: one.sound, low)


def head_and_tail(queries: Iterable[Asked]) -> tuple[list[Asked], list[Asked]]:
    """The commonest queries, which make up HEAD_SHARE of all searches, and all others; each the commonest first."""
    ordered = _by(list(queries), lambda one: one.searches, lambda _: True)
    whole = sum(one.searches for one in ordered)
    passed, head = 0, 0
    while head < len(ordered) and passed < HEAD_SHARE * whole:
        passed += ordered[head].searches
        head += 1
    return ordered[:head], ordered[head:]


def part(queries: Sequence[Asked], least_buckets: int) -> Part:
    """The sums over these queries."""
    searches = sum(one.searches for one in queries)
    unfiltered = sum(one.unfiltered for one in queries)
    return Part(
        queries=len(queries),
        shown=sum(len(one.buckets) >= least_buckets for one in queries),
        searches=searches,
        click_through=sum(one.clicked for one in queries) / searches if searches else 0.0,
        zero_results=sum(one.empty for one in queries) / unfiltered if unfiltered else 0.0,
    )


def _by(
    queries: Sequence[Asked], most: Callable[[Asked], int], wanted: Callable[[Asked], bool]
) -> list[Asked]:
    return sorted(filter(wanted, queries), key=lambda one: (-most(one), one.query))
