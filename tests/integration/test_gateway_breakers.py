"""A whole gateway while its parts are away: what breakers spare its queries, what they tell, and that it heals."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from search_plane.gateway.protection.circuit import LONGEST_PAUSE
from search_plane.release.policy import SearchPolicy

from tests.integration.gateway_bed import QUERIES, GatewayProcess
from tests.integration.gateway_fixtures import Shop, shop
from tests.integration.steady_load import RATE, SteadyLoad
from tests.testbed.fault_proxy import FINE, Fault, FaultProxy, Wire
from tests.testbed.plane import wait_until
from tests.testbed.readdressed import readdressed, urls_of

__all__ = ["shop"]

pytestmark = pytest.mark.stores

PARTS: dict[str, Wire] = {"encoder": "http", "milvus": "grpc", "elasticsearch": "http"}
# docs/decisions/018-breakers.md, and what a busy machine adds.
OPENS_WITHIN, SLACK = 2.5, 3.0
# A query without a cache: else an answer would come from what was found before.
NO_CACHES = {"vector_cache_entries": 0, "result_cache_entries": 0}


@dataclass
class Wired:
    """A gateway whose parts hang on proxies."""

    gateway: GatewayProcess
    proxies: dict[str, FaultProxy]

    def states(self) -> dict[str, str]:
        """Of the breakers, as /release tells them."""
        return self.gateway.state().breakers

    def await_states(self, what: str, good: Callable[[dict[str, str]], bool], seconds: float) -> float:
        """Seconds until the breakers are as wanted."""
        began = time.monotonic()
        wait_until(what, lambda: good(self.states()), seconds)
        return time.monotonic() - began

    def tasks(self) -> float:
        """Tasks of its event loop, the scrape's own among them."""
        (told,) = re.findall(r"^gateway_tasks (\S+)$", self.gateway.metrics(), re.MULTILINE)
        return float(told)

    def heal(self) -> None:
        """All is well again, and every breaker closed."""
        for proxy in self.proxies.values():
            proxy.set(FINE)
        self.await_states(
            "all breakers to close", lambda states: set(states.values()) == {"closed"}, LONGEST_PAUSE + SLACK
        )


@pytest.fixture
def wired(shop: Shop, tmp_path: Path) -> Iterator[Wired]:
    given = shop.blue.snapshot
    with ExitStack() as stack:
        proxies = {}
        for part, url in urls_of(given).items():
            split = urlsplit(url)
            proxy = FaultProxy(split.hostname or "", split.port or 0, PARTS[part])
            proxies[part] = stack.enter_context(proxy)
        snapshot = readdressed(given, {part: proxy.address for part, proxy in proxies.items()})
        gateway = stack.enter_context(GatewayProcess(tmp_path, **NO_CACHES))
        gateway.mount_policy(SearchPolicy().to_json())
        gateway.serve(snapshot)
        yield Wired(gateway, proxies)


@pytest.mark.parametrize("part", PARTS)
def test_a_silent_part_is_left_alone_queries_no_longer_wait_for_it_and_it_heals(
    wired: Wired, part: str
) -> None:
    missing = "catalogue" if part == "elasticsearch" else "semantic"
    names = ("elasticsearch",) if part == "elasticsearch" else (part, "semantic")
    before = wired.tasks()
    with SteadyLoad(wired.gateway.url) as load:
        load.await_replies(round(2 * RATE))
        wired.heal()
        wired.proxies[part].set(Fault(silent=True))
        wired.await_states(
            f"{part} to be left alone",
            lambda states: any(states[name] == "open" for name in names),
            OPENS_WITHIN + SLACK,
        )
        opened = load.now
        away = load.await_sent_since(opened, round(3 * RATE))
        assert {reply.status for reply in away} == {200}
        assert all(missing in reply.body["degraded"] for reply in away), away[0].body
        # Only probes wait.
        quick = [reply for reply in away if reply.seconds < 0.3]
        assert len(quick) > 0.6 * len(away)
        wired.heal()
        healed = load.now
        again = load.await_sent_since(healed, round(2 * RATE))
        assert not [reply.body for reply in again if reply.body["degraded"]]
    assert "gateway_breaker_opened_total{" in wired.gateway.metrics()
    # A reading between two probes of the collection; what a query or a probe had left behind would be in all of them.
    wait_until("no more tasks than before the fault", lambda: wired.tasks() <= before, SLACK)


def test_words_are_tried_although_both_ways_are_open(wired: Wired) -> None:
    with SteadyLoad(wired.gateway.url) as load:
        for part in ("milvus", "elasticsearch"):
            wired.proxies[part].set(Fault(refuse=True))
        wired.await_states(
            "both to be left alone",
            lambda states: states["elasticsearch"] == "open" and states["milvus"] == "open",
            20,
        )
        assert wired.gateway.search(QUERIES[0]).status_code == 503
        wired.proxies["elasticsearch"].set(FINE)
        back = load.now
        replies = load.await_sent_since(back, round(RATE))
        # Not one is turned away for a breaker that has not noticed yet.
        assert {reply.status for reply in replies} == {200}, [reply.body for reply in replies][:3]
        assert {reply.body["path"] for reply in replies} == {"keyword"}
        wired.heal()


def test_what_a_blip_turned_away_does_not_count_against_the_release(wired: Wired) -> None:
    with SteadyLoad(wired.gateway.url) as load:
        load.await_replies(round(2 * RATE))
        wired.heal()
        began = load.now
        wired.proxies["encoder"].set(Fault(refuse=True))
        wired.await_states(
            "a breaker to open", lambda states: "open" in states.values(), OPENS_WITHIN + SLACK
        )
        wired.heal()
        load.await_replies(round(RATE))
        by_words = [reply for reply in load.sent_since(began) if "semantic" in reply.body["degraded"]]
        (traffic,) = wired.gateway.state().traffic
    asked = [reply for reply in load.replies if reply.status == 200]
    assert traffic.failed < len(by_words)
    assert traffic.queries + (len(by_words) - traffic.failed) == pytest.approx(len(asked), abs=RATE)


def test_a_lasting_trouble_counts_against_the_release(wired: Wired) -> None:
    with SteadyLoad(wired.gateway.url) as load:
        wired.proxies["encoder"].set(Fault(refuse=True))
        wired.await_states(
            "a breaker to open", lambda states: "open" in states.values(), OPENS_WITHIN + SLACK
        )
        (soon,) = wired.gateway.state().traffic
        load.await_replies(round(14 * RATE))
        (later,) = wired.gateway.state().traffic
        wired.heal()
    assert later.failed - soon.failed > 2 * RATE
