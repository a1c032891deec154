"""How long a query waits for what the catalogue says of its hits. The parts are fakes that wait to be told."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from search_plane.gateway import sides
from search_plane.gateway.catalogue_answers import Document
from search_plane.gateway.collection import Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.gateway.join import Candidate, Joined
from search_plane.gateway.joining import Shown, join
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.protection.breakers import Breakers
from search_plane.gateway.protection.circuit import Circuit
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.sides import Asking, Found, Patience, Wanted
from search_plane.gateway.within import EVERYTHING, Within
from search_plane.release.policy import BreakerPolicy, Fusion
from search_plane.understanding.understood import as_written

from tests.unit.gateway.snapshots import snapshot

# A wait that is never waited out.
LONG = 60.0
FOUND = Found("semantic", (Candidate("a", 0.9, 0.9), Candidate("b", 0.8, 0.8)))
IN_DOUBT = replace(FOUND, degraded=("keyword",), catalogue_in_doubt=True)


class Parts:
    """Fakes of a catalogue that answers when `live` is set, and of a Milvus whose answer waits for `store`."""

    def __init__(self) -> None:
        self.snapshot = snapshot()
        self.guards = Breakers(BreakerPolicy)
        self.vectors = self
        self.catalogue = self
        self.live, self.store, self.reading = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.fault: Unavailable | None = None
        self.store.set()
        self.documents_cancelled = False

    async def documents(self, ids: Sequence[str], _until: float) -> dict[str, Document | None]:
        if self.fault is not None:
            raise self.fault
        try:
            await self.live.wait()
        except asyncio.CancelledError:
            self.documents_cancelled = True
            raise
        return {one: {"title": "现在", "stock": 1} for one in ids}

    async def with_stored(self, near: Sequence[Neighbour], _until: float) -> list[Neighbour]:
        self.reading.set()
        await self.store.wait()
        return [replace(one, stored={"title": "存档"}) for one in near]


async def joined(
    parts: Parts,
    found: Found,
    catalogue: float = LONG,
    bounds: Within = EVERYTHING,
    filters: Filters = NO_FILTERS,
) -> tuple[Joined, list[str]]:
    """The join of a query that has LONG in all, within `bounds`, of which the caller has set `filters`."""
    until = asyncio.get_running_loop().time() + LONG
    patience = Patience(LONG, LONG, LONG, catalogue)
    asking = Asking(cast(ReleasePath, parts), GatewayMetrics(), patience, until)
    wanted = Wanted("fused", as_written("耳机"), bounds, 10, False, Fusion(), filters)
    async with asyncio.timeout(5):
        return await join(asking, wanted, found, Shown(10, 0, 10, False))


def titles(answer: tuple[Joined, list[str]]) -> list[tuple[Any, bool]]:
    return [(hit.title, hit.stored) for hit in answer[0].hits]


STORED = [("存档", True)] * 2
LIVE = [("现在", False)] * 2


def test_a_catalogue_that_is_well_is_all_that_is_asked() -> None:
    async def story() -> None:
        parts = Parts()
        parts.live.set()
        answer = await joined(parts, FOUND)
        assert (titles(answer), answer[1]) == (LIVE, [])
        assert not parts.reading.is_set()

    asyncio.run(story())


def test_what_is_stored_is_read_before_the_catalogue_is_given_up() -> None:
    """A catalogue that answers only once that was begun is still in time, and what was begun is not needed."""

    async def story() -> None:
        parts = Parts()
        parts.store.clear()
        # The reading begins at four fifths of it.
        asking = asyncio.ensure_future(joined(parts, FOUND, catalogue=0.5))
        async with asyncio.timeout(5):
            await parts.reading.wait()
        parts.live.set()
        answer = await asking
        assert (titles(answer), answer[1]) == (LIVE, [])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


def test_in_doubt_it_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "JOIN_SECONDS", LONG)

    async def story() -> None:
        parts = Parts()
        asking = asyncio.ensure_future(joined(parts, IN_DOUBT))
        async with asyncio.timeout(5):
            await parts.reading.wait()
        parts.live.set()
        # What the catalogue says in time counts all the same.
        assert titles(await asking) == LIVE

    asyncio.run(story())


@pytest.mark.parametrize("found", [FOUND, IN_DOUBT])
def test_a_silent_catalogue_is_answered_for_from_what_is_stored(found: Found) -> None:
    async def story() -> None:
        parts = Parts()
        # In doubt a fifth of it: the query has waited for the rest already.
        answer = await joined(parts, found, catalogue=0.2 if found is FOUND else 1.0)
        assert (titles(answer), answer[1]) == (STORED, ["catalogue"])
        assert parts.documents_cancelled

    asyncio.run(story())


def test_a_catalogue_that_refuses_is_not_waited_for() -> None:
    async def story() -> None:
        parts = Parts()
        parts.fault = Unavailable("elasticsearch", "connection", "the catalogue can't be reached")
        assert titles(await joined(parts, FOUND)) == STORED

    asyncio.run(story())


def test_a_probe_goes_on_when_its_query_waits_no_longer() -> None:
    async def story() -> None:
        parts = Parts()
        breaker = parts.guards.elasticsearch
        breaker._circuit = Circuit(state="half-open", good=2)
        assert titles(await joined(parts, IN_DOUBT, catalogue=1.0)) == STORED
        assert (breaker.state, parts.documents_cancelled) == ("half-open", False)
        parts.live.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*breaker._probes)
        assert breaker.state == "closed"

    asyncio.run(story())


AWAY = Unavailable("elasticsearch", "connection", "the catalogue can't be reached")


def test_what_only_the_words_rule_out_is_left_aside_rather_than_to_say_nothing() -> None:
    async def story() -> None:
        parts = Parts()
        parts.fault = AWAY
        answer = await joined(parts, FOUND, bounds=Within(excluded=("存档",)))
        assert (titles(answer), answer[1]) == (STORED, ["catalogue", "understood"])
        # Of something that fits nothing is left aside.
        answer = await joined(parts, FOUND, bounds=Within(excluded=("别的",)))
        assert (titles(answer), answer[1]) == (STORED, ["catalogue"])

    asyncio.run(story())


def test_what_the_caller_filters_is_never_left_aside() -> None:
    async def story() -> None:
        parts = Parts()
        parts.fault = AWAY
        filters = Filters(brands=("小米",))
        with pytest.raises(Unavailable, match="can't be reached"):
            await joined(parts, FOUND, bounds=Within(filters, excluded=("存档",)), filters=filters)

    asyncio.run(story())
