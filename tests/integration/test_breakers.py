"""Breakers around the gateway's own clients, on real parts behind proxies: when they open and close, and what is left."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from search_plane.gateway.embedding import QueryEncoder
from search_plane.gateway.faults import BreakerOpen, Unavailable
from search_plane.gateway.join import Catalogue
from search_plane.gateway.protection.breaker import Breaker
from search_plane.gateway.protection.breakers import Breakers
from search_plane.gateway.protection.circuit import GOOD_PROBES, LEAST_BAD, LONGEST_PAUSE
from search_plane.gateway.vectors import VectorSearch
from search_plane.release.policy import BreakerPolicy

from tests.integration.gateway_bed import QUERIES
from tests.integration.gateway_fixtures import Shop, shop
from tests.testbed.fault_proxy import FINE, Fault, FaultProxy, Wire

__all__ = ["shop"]

pytestmark = pytest.mark.stores

RATE = 30.0
WAIT = 0.5
"""Seconds that a query waits for meaning, and for the catalogue."""
# Two seconds of traffic before, of which half must have failed, and what a busy machine adds to a timer.
OPENS_WITHIN = WAIT + 2.0
SLACK = 2.0
PARTS: dict[str, Wire] = {"encoder": "http", "milvus": "grpc", "elasticsearch": "http"}
FAULTS = {"refuse": Fault(refuse=True), "silent": Fault(silent=True), "slow": Fault(delay=0.5)}


@dataclass
class Wired:
    """The shop's parts behind proxies."""

    shop: Shop
    proxies: dict[str, FaultProxy]


@dataclass
class Asked:
    """What the calls of a load came to: how many ended in which way, and the slowest one that was turned away."""

    ends: Counter[str] = field(default_factory=Counter)
    turned_away_seconds: float = 0.0


@pytest.fixture(scope="module")
def wired(shop: Shop) -> Iterator[Wired]:
    snapshot = shop.blue.snapshot
    urls = {
        "encoder": snapshot.encoder_url,
        "milvus": snapshot.milvus.uri,
        "elasticsearch": snapshot.catalogue.url,
    }
    with ExitStack() as stack:
        proxies = {}
        for part, url in urls.items():
            split = urlsplit(url)
            proxy = FaultProxy(split.hostname or "", split.port or 0, PARTS[part])
            proxies[part] = stack.enter_context(proxy)
        yield Wired(shop, proxies)


class Bed:
    """The three clients and their breakers, within one event loop."""

    def __init__(self, wired: Wired, policy: BreakerPolicy, wait: float) -> None:
        snapshot = wired.shop.blue.snapshot
        address = {part: f"http://{proxy.address}" for part, proxy in wired.proxies.items()}
        self._vectors = wired.shop.blue.queries
        self._ids = wired.shop.blue.ids
        self.breakers = Breakers(lambda: policy)
        self.extra = 0
        self._wait = wait
        self.encoder = QueryEncoder(address["encoder"], snapshot.encoder, 1.0, 64, 0.2, self._count)
        self.milvus = VectorSearch(
            snapshot.milvus.model_copy(update={"uri": address["milvus"]}),
            wait + 1.0,
            0.15,
            on_extra=self._count,
        )
        self.catalogue = Catalogue(
            snapshot.catalogue.model_copy(update={"url": address["elasticsearch"]}), wait, 64
        )
        self.tasks: set[asyncio.Task[None]] = set()

    def _count(self, *_: object) -> None:
        self.extra += 1

    def ask(self, part: str, number: int) -> tuple[Breaker, Callable[[], Awaitable[object]], bool]:
        """The breaker, one call, and whether its latency is judged."""
        query = QUERIES[number % len(QUERIES)]
        until = asyncio.get_running_loop().time() + self._wait

        async def meaning() -> object:
            return await self.breakers.encoder.call(lambda: self.encoder.embed(query, until), False)

        works: dict[str, tuple[Breaker, Callable[[], Awaitable[object]], bool]] = {
            "encoder": (self.breakers.encoder, lambda: self.encoder.embed(query, until), False),
            "milvus": (
                self.breakers.milvus,
                lambda: self.milvus.nearest(self._vectors[query], 10, until),
                False,
            ),
            "elasticsearch": (
                self.breakers.elasticsearch,
                lambda: self.catalogue.documents(self._ids[:10], until),
                False,
            ),
            "semantic": (self.breakers.semantic, meaning, True),
        }
        return works[part]

    async def one(self, part: str, number: int, asked: Asked) -> None:
        """One call as a query makes it: given up after the bed's wait."""
        breaker, work, judge = self.ask(part, number)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._wait):
                await breaker.call(work, judge)
            asked.ends["answer"] += 1
        except BreakerOpen:
            asked.ends["turned away"] += 1
            asked.turned_away_seconds = max(asked.turned_away_seconds, time.perf_counter() - began)
        except TimeoutError:
            asked.ends["given up"] += 1
        except Unavailable as fault:
            asked.ends[fault.reason] += 1

    async def load(self, part: str, seconds: float, until: Callable[[], bool] = lambda: False) -> Asked:
        """RATE calls a second for so long, or until what is waited for."""
        asked, began, sent = Asked(), time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds and not until():
            task = asyncio.ensure_future(self.one(part, sent, asked))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            sent += 1
            await asyncio.sleep(max(0.0, sent / RATE - now))
        return asked

    async def close(self) -> None:
        """Everything ended."""
        await asyncio.gather(*self.tasks)
        await self.breakers.close()
        await asyncio.gather(self.encoder.close(), self.milvus.close(), self.catalogue.close())


def run(
    wired: Wired,
    story: Callable[[Bed], Coroutine[Any, Any, None]],
    policy: BreakerPolicy | None = None,
    wait: float = WAIT,
) -> None:
    """The story on a bed of its own; afterwards no task is left, and every proxy is as before."""

    async def within() -> None:
        bed = Bed(wired, policy or BreakerPolicy(), wait)
        try:
            await story(bed)
        finally:
            for proxy in wired.proxies.values():
                proxy.set(FINE)
            await bed.close()
        gc.collect()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        # grpc.aio keeps its own poller task.
        assert [task for task in left if "grpc" not in repr(task)] == []

    asyncio.run(within())


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_away_is_left_alone_within_seconds_and_used_again_once_it_is_back(
    wired: Wired, part: str, kind: str
) -> None:
    async def story(bed: Bed) -> None:
        breaker, _, _ = bed.ask(part, 0)
        good = await bed.load(part, 3.0)
        assert good.ends["answer"] > 0.9 * good.ends.total()
        assert bed.breakers.states()[part] == "closed"

        wired.proxies[part].set(FAULTS[kind])
        began = time.perf_counter()
        before = await bed.load(part, OPENS_WITHIN + SLACK, lambda: breaker.state != "closed")
        opened = time.perf_counter() - began
        assert bed.breakers.states()[part] == "open", (opened, before)

        away = await bed.load(part, 2.5)
        # Only probes are sent, one at a time.
        assert away.ends["turned away"] > 0.8 * away.ends.total(), away
        assert away.turned_away_seconds < 0.1

        wired.proxies[part].set(FINE)
        began = time.perf_counter()
        await bed.load(part, LONGEST_PAUSE + SLACK, lambda: breaker.state == "closed")
        assert bed.breakers.states()[part] == "closed"
        assert time.perf_counter() - began < LONGEST_PAUSE + GOOD_PROBES / RATE + SLACK
        again = await bed.load(part, 1.0)
        assert again.ends["turned away"] == 0

    run(wired, story)


@pytest.mark.parametrize("part", PARTS)
def test_three_in_ten_failing_are_asked_on_within_the_budget(wired: Wired, part: str) -> None:
    async def story(bed: Bed) -> None:
        await bed.load(part, 1.0)
        wired.proxies[part].set(Fault(errors=0.3))
        before = bed.extra
        asked = await bed.load(part, 4.0)
        breaker, _, _ = bed.ask(part, 0)
        assert breaker.state == "closed"
        assert asked.ends["answer"] > 0.5 * asked.ends.total()
        assert asked.ends["turned away"] == 0
        # The budget is the whole connection's: a burst, and one for every ten calls.
        assert bed.extra - before <= 50 + 0.1 * asked.ends.total()
        if part != "milvus":
            assert asked.ends["http_500"] > 0

    # What is given up on a busy machine would count as a failure of its own.
    run(wired, story, wait=10 * WAIT)


def test_a_slow_encoder_opens_the_search_by_meaning_and_not_the_encoder(wired: Wired) -> None:
    async def story(bed: Bed) -> None:
        good = await bed.load("semantic", 1.0)
        assert good.ends["answer"] > LEAST_BAD
        wired.proxies["encoder"].set(Fault(delay=0.3))
        await bed.load("semantic", 4.0, lambda: bed.breakers.semantic.state == "open")
        assert bed.breakers.states() == {
            "encoder": "closed", "milvus": "closed", "elasticsearch": "closed", "semantic": "open",
        }  # fmt: skip
        wired.proxies["encoder"].set(FINE)
        await bed.load("semantic", LONGEST_PAUSE + SLACK, lambda: bed.breakers.semantic.state == "closed")
        assert bed.breakers.semantic.state == "closed"

    run(wired, story)


def test_a_silent_encoder_opens_although_the_limit_is_longer_than_queries_wait(wired: Wired) -> None:
    async def story(bed: Bed) -> None:
        wired.proxies["encoder"].set(Fault(silent=True))
        await bed.load("semantic", 4.0, lambda: bed.breakers.semantic.state != "closed")
        assert bed.breakers.semantic.state == "open"

    run(wired, story, BreakerPolicy(latency_ms=5000))
