"""From candidates to hits: what the catalogue says of them at this moment, and the marks in their titles."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from search_plane.gateway.answer import Hit
from search_plane.gateway.catalogue_answers import Document
from search_plane.gateway.catalogue_query import marks_search
from search_plane.gateway.collection import Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.join import Candidate, Joined, merge
from search_plane.gateway.sides import Asking, Found, Wanted
from search_plane.gateway.within import Within

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """Which hits are wanted: `reach` of them in all, of which those from `first` to `last` are shown.

    `highlight`: their words are marked on the way; see `mark` for hits that are ordered anew first.
    """

    reach: int
    first: int
    last: int
    highlight: bool


async def join(asking: Asking, wanted: Wanted, found: Found, shown: Shown) -> tuple[Joined, list[str]]:
    """The best `reach` that exist and lie within what is wanted, and what is missing of them.

    Raises Unavailable when the catalogue is away and nothing is known to be within the caller's filters: an answer
    without hits would say that there is nothing. What the query's words rule out is let through rather than that.
    """
    now, patience = asyncio.get_running_loop().time(), asking.patience
    # A query may not wait for the catalogue twice.
    allowed = patience.catalogue_last if found.catalogue_in_doubt else patience.catalogue
    until = min(asking.until, now + allowed)
    likely = [one.id for one in found.candidates[shown.first : shown.last]] if shown.highlight else []
    marking = asyncio.ensure_future(_marks(asking, wanted, likely, until)) if likely else None
    try:
        joined, degraded = await _live(asking, wanted, found.candidates, shown.reach, until)
        if marking is None:
            return joined, degraded
        marks = await marking
        page = [hit.id for hit in joined.hits[shown.first : shown.last]]
        if marks is not None and (moved_up := [one for one in page if one not in set(likely)]):
            more = await _marks(asking, wanted, moved_up, until)
            marks = None if more is None else marks | more
        if marks is None:
            return joined, [*degraded, "highlight"]
        for hit in joined.hits:
            hit.highlight = marks.get(hit.id)
        return joined, degraded
    finally:
        if marking is not None:
            marking.cancel()


async def _live(
    asking: Asking, wanted: Wanted, candidates: Sequence[Candidate], reach: int, until: float
) -> tuple[Joined, list[str]]:
    """Those beyond the first are asked for only when some of the first are gone."""
    path = asking.path
    fields = path.snapshot.catalogue.fields
    documents: dict[str, Document | None] = {}
    joined = Joined([], 0, 0)
    known = 0
    spare = _Stored(asking, candidates, until - asking.patience.catalogue_last)
    try:
        while known < len(candidates) and len(joined.hits) < reach:
            upto = reach if known == 0 else len(candidates)
            documents |= await _documents(asking, [one.id for one in candidates[known:upto]], until)
            known = upto
            joined = merge(candidates[:known], documents, fields, reach, wanted.within)
    except Unavailable as fault:
        asking.metrics.failed(fault)
        stored = await spare.known()
        joined = merge(stored, documents, fields, reach, wanted.within)
        if joined.hits or not joined.filtered:
            return joined, _unjudged(joined)
        # Who has filtered must not see anything else; what a query's words rule out is a wish.
        joined = merge(stored, documents, fields, reach, Within(wanted.filters))
        if joined.filtered and not joined.hits:
            raise
        return joined, [*_unjudged(joined), "understood"]
    finally:
        spare.close()
    return joined, _unjudged(joined)


def _unjudged(joined: Joined) -> list[str]:
    return ["catalogue"] if joined.unknown else []


class _Stored:
    """Candidates with what the release stored of them: read from the loop's time `at` on, or when they are needed.

    So a query that has waited for the catalogue as long as it may need not wait for Milvus after it.
    """

    def __init__(self, asking: Asking, candidates: Sequence[Candidate], at: float) -> None:
        self._asking = asking
        self._candidates = candidates
        self._reading: asyncio.Task[Sequence[Candidate]] | None = None
        self._timer = asyncio.get_running_loop().call_at(at, self._begin)

    async def known(self) -> Sequence[Candidate]:
        """As they are where Milvus does not tell it."""
        return await self._begin()

    def _begin(self) -> "asyncio.Task[Sequence[Candidate]]":
        if self._reading is None:
            self._reading = asyncio.ensure_future(_with_stored(self._asking, self._candidates))
        return self._reading

    def close(self) -> None:
        """Reads no longer."""
        self._timer.cancel()
        if self._reading is not None:
            self._reading.cancel()


async def _with_stored(asking: Asking, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    near = [Neighbour(one.id, one.score) for one in candidates]
    try:
        found = await asking.path.guards.milvus.call(
            lambda: asking.path.vectors.with_stored(near, asking.until), judge_latency=False
        )
    except Unavailable as fault:
        asking.metrics.failed(fault)
        return candidates
    return [one._replace(stored=told.stored) for one, told in zip(candidates, found, strict=True)]


async def _documents(asking: Asking, ids: list[str], until: float) -> dict[str, Document | None]:
    catalogue = asking.path.catalogue
    return await _by(until, asking, lambda: catalogue.documents(ids, asking.until))


async def _by(until: float, asking: Asking, work: Callable[[], Awaitable[T]]) -> T:
    """What the catalogue answers by `until`. Its breaker's probe has longer: what it finds out others need."""
    try:
        async with asyncio.timeout_at(until):
            return await asking.path.guards.elasticsearch.call(work, judge_latency=False)
    except TimeoutError:
        raise Unavailable("elasticsearch", "timeout", "the catalogue did not answer in time") from None


async def mark(asking: Asking, wanted: Wanted, page: Sequence[Hit]) -> list[str]:
    """Marks the words in the titles of a page's hits; `highlight` where that could not be had."""
    marks = await _marks(asking, wanted, [hit.id for hit in page], asking.until) if page else {}
    if marks is None:
        return ["highlight"]
    for hit in page:
        hit.highlight = marks.get(hit.id)
    return []


async def _marks(asking: Asking, wanted: Wanted, ids: list[str], until: float) -> dict[str, str] | None:
    """Marked titles by id; None when the catalogue did not mark them."""
    catalogue = asking.path.catalogue
    body = marks_search(wanted.understood, catalogue.fields, ids, asking.path.snapshot.catalogue.filter)
    try:
        return await _by(until, asking, lambda: catalogue.marks(body, asking.until))
    except Unavailable as fault:
        asking.metrics.failed(fault)
        return None
