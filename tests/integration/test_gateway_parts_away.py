"""What a fused query is answered while a part is away or silent, on real parts behind cables, and that it heals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.cable import Cable, Mode
from tests.integration.gateway_bed import QUERIES, GatewayProcess
from tests.integration.gateway_fixtures import Shop, shop
from tests.testbed.plane import wait_until
from tests.testbed.readdressed import readdressed, urls_of

__all__ = ["shop"]

pytestmark = pytest.mark.stores

DEADLINE_MS = 1500
WAIT_MS = 600
# What a loaded machine may add to a deadline before its timer is served, in seconds.
SLACK = 2.0


@dataclass(frozen=True)
class Wired:
    """A gateway whose parts hang on cables."""

    gateway: GatewayProcess
    encoder: Cable
    milvus: Cable
    elasticsearch: Cable

    def ask(self, **others: Any) -> httpx.Response:
        return self.gateway.search(QUERIES[0], 10, "fused", understand="false", **others)


@pytest.fixture(scope="module")
def wired(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    given = shop.blue.snapshot
    with ExitStack() as stack:

        def cable(url: str) -> Cable:
            parts = urlsplit(url)
            return stack.enter_context(Cable(parts.hostname or "", parts.port or 0))

        cables = {part: cable(url) for part, url in urls_of(given).items()}
        snapshot = readdressed(given, {part: each.address for part, each in cables.items()})
        timeouts = {f"{part}_timeout_ms": DEADLINE_MS for part in ("encoder", "milvus", "es")}
        gateway = stack.enter_context(
            GatewayProcess(
                tmp_path_factory.mktemp("wired"),
                total_timeout_ms=6000,
                semantic_wait_ms=WAIT_MS,
                **timeouts,
            )
        )
        gateway.serve(snapshot)
        yield Wired(gateway, **cables)


def whole(wired: Wired) -> Any:
    """Waits for a whole answer."""
    answers: list[Any] = []

    def answered() -> bool:
        response = wired.ask()
        answers.append(response.json())
        return response.status_code == 200 and not answers[-1]["degraded"]

    wait_until("a whole answer", answered, 60)
    return answers[-1]


@pytest.mark.parametrize("part", ["encoder", "milvus"])
@pytest.mark.parametrize("mode", [Mode.CUT, Mode.SILENT])
def test_without_the_meaning_words_answer_when_it_was_waited_for(wired: Wired, part: str, mode: Mode) -> None:
    whole(wired)
    failed = sum(one.failed for one in wired.gateway.state().traffic)
    cable: Cable = getattr(wired, part)
    cable.set(mode)
    try:
        for _ in range(3):
            started = time.monotonic()
            response = wired.ask(facets="true", in_stock="true")
            assert time.monotonic() - started < WAIT_MS / 1000 + SLACK
            answer = response.json()
            assert (response.status_code, answer["path"], answer["mode"]) == (200, "keyword", "fused")
            assert answer["degraded"] == ["semantic"]
            assert len(answer["hits"]) == 10
            assert all(hit["stock"] > 0 and hit["scores"]["semantic"] is None for hit in answer["hits"])
            assert answer["facets"]["in_stock"] > 0
        # Whoever judges the release must see that it did not answer.
        assert sum(one.failed for one in wired.gateway.state().traffic) >= failed + 3
        assert wired.gateway.ready()["ready"] is True
    finally:
        cable.set(Mode.OPEN)
    assert whole(wired)["path"] == "fused"


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.SILENT])
def test_without_the_catalogue_the_nearest_answer(wired: Wired, mode: Mode) -> None:
    whole(wired)
    near = wired.gateway.search(QUERIES[0], 10, "semantic").json()
    failed = sum(one.failed for one in wired.gateway.state().traffic)
    wired.elasticsearch.set(mode)
    try:
        started = time.monotonic()
        response = wired.ask(facets="true", highlight="true")
        # The words' deadline once, not again for the join.
        assert time.monotonic() - started < DEADLINE_MS / 1000 + SLACK
        by_words = wired.gateway.search(QUERIES[0], 10, "keyword", understand="false").json()
        filtered = wired.ask(in_stock="true")
    finally:
        wired.elasticsearch.set(Mode.OPEN)
    answer = response.json()
    assert response.status_code == 200
    assert set(answer["degraded"]) == {"keyword", "facets", "highlight", "catalogue"}
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in near["hits"]]
    assert [hit["id"] for hit in by_words["hits"]] == [hit["id"] for hit in near["hits"]]
    assert answer["path"] == "stored"
    assert all(hit["stored"] and hit["title"] and hit["stock"] is None for hit in answer["hits"])
    # What was in stock at the last refresh.
    assert filtered.json()["hits"]
    in_stock = {
        hit["id"] for hit in wired.gateway.search(QUERIES[0], 100, "semantic", in_stock="true").json()["hits"]
    }
    assert {hit["id"] for hit in filtered.json()["hits"]} <= in_stock
    # The release did answer.
    assert sum(one.failed for one in wired.gateway.state().traffic) <= failed + 1
    whole(wired)


@pytest.mark.parametrize("part", ["encoder", "milvus"])
def test_without_any_way_there_is_503(wired: Wired, part: str) -> None:
    whole(wired)
    cables: tuple[Cable, ...] = (getattr(wired, part), wired.elasticsearch)
    for cable in cables:
        cable.set(Mode.CUT)
    try:
        response = wired.ask()
        assert (response.status_code, response.json()["field"]) == (503, part)
        assert int(response.headers["Retry-After"]) >= 1
    finally:
        for cable in cables:
            cable.set(Mode.OPEN)
    whole(wired)


def test_nothing_is_left_behind_by_queries_that_gave_up(wired: Wired) -> None:
    """Searches that were left at their wait are cancelled: they do not pile up while a part is silent."""
    whole(wired)
    wired.milvus.set(Mode.SILENT)
    try:
        for _ in range(5):
            assert wired.ask().json()["path"] == "keyword"
    finally:
        wired.milvus.set(Mode.OPEN)
    whole(wired)
    wait_until(
        "only the scrape to be under way",
        lambda: "gateway_inflight_requests 1.0" in wired.gateway.metrics(),
        10,
    )
    assert "never retrieved" not in wired.gateway.log()
    assert "Traceback" not in wired.gateway.log()
