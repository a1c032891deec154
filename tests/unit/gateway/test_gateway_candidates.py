"""What a query is answered from when its searches come, fail or are late. The parts are fakes that wait to be told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import numpy as np
import pytest
from search_plane.gateway.caching import Bounded, Remembered
from search_plane.gateway.candidates import find
from search_plane.gateway.catalogue_answers import Words
from search_plane.gateway.collection import Neighbour
from search_plane.gateway.faults import BreakerOpen, Unavailable
from search_plane.gateway.index_fields import unread
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.protection.breaker import Breaker
from search_plane.gateway.protection.breakers import Breakers
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.sides import Asking, Found, Patience, Wanted
from search_plane.gateway.vectors import Nearest
from search_plane.gateway.within import EVERYTHING
from search_plane.release.policy import BreakerPolicy, Fusion, Mode
from search_plane.release.record import CatalogueFields
from search_plane.understanding.understood import as_written

from tests.unit.gateway.snapshots import snapshot

T = TypeVar("T")
# A wait that is never waited out.
LONG = 60.0


class Parts:
    """Fakes of a release's parts: each answers, fails, or waits for ever, as it is set."""

    def __init__(self) -> None:
        self.snapshot = snapshot()
        self.guards = Breakers(BreakerPolicy)
        self.vectors = self
        self.stores_fields = False
        self.metrics = GatewayMetrics()
        self.query_vectors: Remembered[str, Any] = Remembered(
            "vectors", Bounded(0, 0, 0.0, lambda _: 1, lambda: 0.0), self.metrics
        )
        self.encoder = self
        self.catalogue = self
        self.fields = unread(CatalogueFields())
        self.fault: dict[str, Unavailable] = {}
        self.silent: set[str] = set()
        self.words_may_answer = asyncio.Event()
        self.cancelled: list[str] = []
        self.whole = True
        self.asked: list[str] = []

    async def _part(self, name: str) -> None:
        self.asked.append(name)
        if name in self.silent:
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
        if (fault := self.fault.get(name)) is not None:
            raise fault

    def refuse_mismatch(self) -> None:
        pass

    async def embed(self, _text: str, _until: float) -> np.ndarray[Any, Any]:
        await self._part("encoder")
        return np.zeros(4, dtype=np.float32)

    async def nearest(self, *_: object) -> Nearest:
        await self._part("milvus")
        return Nearest([Neighbour("a", 0.9), Neighbour("b", 0.8)], self.whole)

    async def matching(self, body: dict[str, Any], _text: str, _until: float) -> Words:
        await self._part("elasticsearch")
        await self.words_may_answer.wait()
        found = [("b", 7.0), ("c", 5.0)][: body["size"]]
        return Words(found, 2, True, {} if "aggs" in body else None)


def found_in(
    parts: Parts,
    mode: Mode = "fused",
    wait: float = LONG,
    facets: bool = False,
    catalogue: float = LONG,
    told_after: float = 0.0,
) -> Found:
    """What is found, within seconds."""

    async def story() -> Found:
        patience = Patience(LONG, wait, wait, catalogue)
        until = asyncio.get_running_loop().time() + LONG
        asking = Asking(cast(ReleasePath, parts), parts.metrics, patience, until)
        asyncio.get_running_loop().call_later(told_after, parts.words_may_answer.set)
        async with asyncio.timeout(5):
            return await find(asking, Wanted(mode, as_written("耳机"), EVERYTHING, 10, facets, Fusion()))

    return asyncio.run(story())


def ids(found: Found) -> list[str]:
    return [one.id for one in found.candidates]


def away(part: Any, reason: str = "connection") -> Unavailable:
    return Unavailable(part, reason, f"{part} is away")


class Open(Breaker):
    """A breaker that is open."""

    def __init__(self, lasting: bool = True) -> None:
        super().__init__("semantic", BreakerPolicy)
        self.lasting = lasting

    async def call(
        self, work: Callable[[], Awaitable[T]], judge_latency: bool, *, regardless: bool = False
    ) -> T:
        if regardless:
            return await work()
        raise BreakerOpen("semantic", "semantic is away", 1, self.lasting)


def test_both_are_fused() -> None:
    found = found_in(Parts())
    assert (found.path, ids(found), found.degraded) == ("fused", ["b", "a", "c"], ())
    assert [(one.semantic, one.keyword) for one in found.candidates] == [(0.8, 7.0), (0.9, None), (None, 5.0)]
    assert (found.semantic_asked, found.semantic_failed, found.total_words) == (True, False, 2)


@pytest.mark.parametrize("part", ["encoder", "milvus"])
def test_without_the_meaning_words_answer_and_the_release_failed(part: str) -> None:
    parts = Parts()
    parts.fault[part] = away(part)
    found = found_in(parts)
    assert (found.path, ids(found), found.degraded) == ("keyword", ["b", "c"], ("semantic",))
    assert (found.semantic_asked, found.semantic_failed) == (True, True)


@pytest.mark.parametrize("part", ["encoder", "milvus"])
def test_a_late_meaning_is_waited_for_no_longer_and_given_up(part: str) -> None:
    parts = Parts()
    parts.silent.add(part)
    found = found_in(parts, wait=0.01)
    assert (found.path, found.degraded, found.semantic_failed) == ("keyword", ("semantic",), True)
    assert parts.cancelled == [part]
    errors = parts.metrics.text().decode()
    assert f'gateway_dependency_errors_total{{dependency="{part}",reason="late"}} 1.0' in errors


@pytest.mark.parametrize(
    ("reason", "doubt"), [("connection", False), ("http_500", False), ("timeout", True), ("open", True)]
)
def test_without_the_words_meaning_answers(reason: str, doubt: bool) -> None:
    parts = Parts()
    parts.fault["elasticsearch"] = away("elasticsearch", reason)
    found = found_in(parts, facets=True)
    assert (found.path, ids(found), found.degraded) == ("semantic", ["a", "b"], ("keyword", "facets"))
    assert (found.semantic_failed, found.catalogue_in_doubt) == (False, doubt)


def test_late_words_leave_the_join_some_of_the_catalogue_s_time() -> None:
    parts = Parts()
    parts.silent.add("elasticsearch")
    found = found_in(parts, catalogue=0.05)
    assert (found.path, ids(found), found.degraded) == ("semantic", ["a", "b"], ("keyword",))
    assert (found.catalogue_in_doubt, found.semantic_failed) == (True, False)
    assert parts.cancelled == ["elasticsearch"]
    errors = parts.metrics.text().decode()
    assert 'gateway_dependency_errors_total{dependency="elasticsearch",reason="late"} 1.0' in errors


@pytest.mark.parametrize("mode", ["silent", "failed"])
def test_without_the_meaning_words_have_all_their_time(mode: str) -> None:
    """Whatever the join then has left: there is nothing else to answer from."""
    parts = Parts()
    if mode == "silent":
        parts.silent.add("milvus")
    else:
        parts.fault["milvus"] = away("milvus")
    found = found_in(parts, wait=0.2, catalogue=0.05, told_after=0.1)
    assert (found.path, ids(found), found.degraded) == ("keyword", ["b", "c"], ("semantic",))


def test_without_the_words_meaning_is_waited_for_longer() -> None:
    """Better a late answer than none."""
    parts = Parts()
    parts.fault["elasticsearch"] = away("elasticsearch")
    parts.silent.add("milvus")
    with pytest.raises(TimeoutError):
        found_in(parts, wait=0.01)


@pytest.mark.parametrize("mode", ["fused", "semantic", "keyword"])
def test_without_both_it_is_told_why_there_is_no_meaning(mode: Mode) -> None:
    parts = Parts()
    parts.fault["encoder"] = away("encoder")
    parts.fault["elasticsearch"] = away("elasticsearch")
    with pytest.raises(Unavailable, match="encoder is away"):
        found_in(parts, mode)


def test_rows_that_may_be_missing_are_told() -> None:
    parts = Parts()
    parts.whole = False
    assert found_in(parts).degraded == ("vectors",)


def test_words_alone_ask_neither_encoder_nor_milvus() -> None:
    parts = Parts()
    found = found_in(parts, "keyword")
    assert (found.path, found.degraded, parts.asked) == ("keyword", (), ["elasticsearch"])
    assert (found.semantic_asked, found.semantic_failed) == (False, False)


def test_words_alone_that_fail_are_helped_out_by_meaning() -> None:
    parts = Parts()
    parts.fault["elasticsearch"] = away("elasticsearch")
    found = found_in(parts, "keyword")
    assert (found.path, found.degraded, found.semantic_asked) == ("semantic", ("keyword",), True)


def test_meaning_alone_asks_no_words_but_to_count_them() -> None:
    parts = Parts()
    assert found_in(parts, "semantic").total_words is None
    assert "elasticsearch" not in parts.asked
    counted = found_in(parts, "semantic", facets=True)
    assert (counted.path, ids(counted), counted.total_words) == ("semantic", ["a", "b"], 2)
    assert counted.facets is not None
    parts.fault["elasticsearch"] = away("elasticsearch")
    assert found_in(parts, "semantic", facets=True).degraded == ("facets",)


def test_meaning_alone_counts_although_words_were_looked_for() -> None:
    parts = Parts()
    assert found_in(parts, "semantic", wait=0.0).path == "semantic"


@pytest.mark.parametrize("lasting", [True, False])
def test_an_open_breaker_is_answered_by_words_at_once(lasting: bool) -> None:
    parts = Parts()
    parts.guards.semantic = Open(lasting)
    found = found_in(parts)
    assert (found.path, found.degraded, parts.asked) == ("keyword", ("semantic",), ["elasticsearch"])
    # A blip that turned queries away says nothing of the release; a lasting trouble does.
    assert (found.semantic_asked, found.semantic_failed) == (lasting, lasting)


@pytest.mark.parametrize("mode", ["fused", "semantic", "keyword"])
def test_one_way_is_always_tried_though_both_breakers_are_open(mode: Mode) -> None:
    parts = Parts()
    parts.guards.semantic = Open()
    parts.guards.elasticsearch = Open()
    found = found_in(parts, mode)
    assert (found.path, found.degraded, parts.asked) == ("keyword", ("semantic",), ["elasticsearch"])
    parts.fault["elasticsearch"] = away("elasticsearch")
    with pytest.raises(Unavailable, match="semantic is away"):
        found_in(parts, mode)
