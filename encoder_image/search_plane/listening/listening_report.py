"""What the search log says about queries, told only of queries that several people asked. Pure."""

from collections.abc import Sequence
from typing import Final

from search_plane.listening.events import Search
from search_plane.listening.queries import (
    Asked,
    Part,
    QueryLine,
    abandoned,
    asked,
    head_and_tail,
    line,
    part,
    unsure,
    zero_results,
)
from search_plane.listening.rewording import Rewording, clicked_alike, grouped, reformulated
from search_plane.release.identity import Frozen

LEAST_BUCKETS: Final = 5
# More lines than a person reads; the JSON has as many as the text.
MOST_LINES: Final = 50


class ListeningReport(Frozen):
    """Everything that `listening report` tells.

    `hidden_queries` were asked in fewer than `least_buckets` buckets, in `hidden_searches` searches: they are counted in
    head and tail and named nowhere. `without_key` searches came without a user's key and count towards no bucket.
    """

    since: str
    until: str
    searches: int
    without_key: int
    least_buckets: int
    hidden_queries: int
    hidden_searches: int
    head: Part
    tail: Part
    zero_results: tuple[QueryLine, ...]
    abandoned: tuple[QueryLine, ...]
    unsure: tuple[QueryLine, ...]
    long_tail: tuple[QueryLine, ...]
    reformulated: tuple[Rewording, ...]
    clicked_alike: tuple[Rewording, ...]

    @property
    def synonyms(self) -> tuple[str, ...]:
        """Lines as `search.synonyms` takes them, each once, the best attested first."""
        alike = grouped([(one.words[0], one.words[1]) for one in self.clicked_alike])
        return tuple(dict.fromkeys([*(one.line for one in self.reformulated), *map(", ".join, alike)]))


def nameable(searches: Sequence[Search], least_buckets: int) -> frozenset[str]:
    """The folded queries that were asked in so many buckets."""
    return frozenset(query for query, one in asked(searches).items() if len(one.buckets) >= least_buckets)


def listening_report(
    searches: Sequence[Search], least_buckets: int = LEAST_BUCKETS, most: int = MOST_LINES
) -> ListeningReport:
    """The report of these searches, of which there is at least one; `most` lines in each list."""
    queries = asked(searches)
    named = [one for one in queries.values() if len(one.buckets) >= least_buckets]
    names = frozenset(one.query for one in named)
    hidden = [one for one in queries.values() if one.query not in names]
    head, tail = head_and_tail(queries.values())

    def lines(found: Sequence[Asked]) -> tuple[QueryLine, ...]:
        return tuple(line(one) for one in found[:most])

    return ListeningReport(
        since=min(search.at for search in searches).isoformat(timespec="seconds"),
        until=max(search.at for search in searches).isoformat(timespec="seconds"),
        searches=sum(one.searches for one in queries.values()),
        without_key=sum(search.first_page and search.shown.bucket is None for search in searches),
        least_buckets=least_buckets,
        hidden_queries=len(hidden),
        hidden_searches=sum(one.searches for one in hidden),
        head=part(head, least_buckets),
        tail=part(tail, least_buckets),
        zero_results=lines(zero_results(named)),
        abandoned=lines(abandoned(named)),
        unsure=lines(unsure(named)),
        long_tail=lines([one for one in tail if one.query in names]),
        reformulated=tuple(reformulated(searches, names, least_buckets)[:most]),
        clicked_alike=tuple(clicked_alike(searches, names, least_buckets)[:most]),
    )
