"""What a query is answered while a part is away, wrong or slow, and that it heals by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pymilvus import MilvusClient
from search_plane.release.record import ReleaseSnapshot

from tests.integration.cable import Cable, Mode
from tests.integration.gateway_bed import QUERIES, GatewayProcess, drop_release, fill_release
from tests.integration.gateway_fixtures import Shop, shop
from tests.testbed.plane import wait_until
from tests.testbed.readdressed import readdressed, urls_of

__all__ = ["shop"]

pytestmark = pytest.mark.stores

DEADLINE_MS = 1500
# What a loaded machine may add to a deadline before its timer is served, in seconds.
SLACK = 2.0
# Rows left in a collection that loses the rest, and for how long at least that is doubted: a returning query node
# serves partial rows for 6-12 s.
LEFT = 5
DOUBTED_SECONDS = 12.0


@dataclass(frozen=True)
class Wired:
    """A gateway whose parts hang on cables."""

    shop: Shop
    gateway: GatewayProcess
    snapshot: ReleaseSnapshot
    encoder: Cable
    milvus: Cable
    elasticsearch: Cable


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
        home = tmp_path_factory.mktemp("wired")
        gateway = stack.enter_context(GatewayProcess(home, total_timeout_ms=6000, **timeouts))
        gateway.serve(snapshot)
        yield Wired(shop, gateway, snapshot, **cables)


def answered(gateway: GatewayProcess) -> None:
    """Waits until a query is answered whole again."""

    def whole() -> bool:
        answer = gateway.search(QUERIES[0])
        return answer.status_code == 200 and answer.json()["degraded"] == []

    wait_until("a whole answer", whole, 60)


def assert_by_words(shop: Shop, response: httpx.Response) -> None:
    """Products of the catalogue that hold words of the query, and the answer says that this is all they are."""
    answer = response.json()
    assert (response.status_code, answer["path"], answer["degraded"]) == (200, "keyword", ["semantic"])
    assert answer["hits"]
    for hit in answer["hits"]:
        product = shop.elasticsearch.get(index=shop.index, id=hit["id"])["_source"]
        told = "".join(product[field] for field in ("title", "brand", "category", "description"))
        assert set(told) & set(answer["query"])
        assert hit["price"] is not None


@pytest.mark.parametrize("part", ["encoder", "milvus"])
@pytest.mark.parametrize("mode", [Mode.CUT, Mode.SILENT])
def test_without_encoder_or_milvus_the_words_are_looked_for_within_the_deadline_until_it_is_back(
    wired: Wired, part: str, mode: Mode
) -> None:
    answered(wired.gateway)
    cable: Cable = getattr(wired, part)
    cable.set(mode)
    try:
        for _ in range(3):
            started = time.monotonic()
            answer = wired.gateway.search(QUERIES[0])
            assert time.monotonic() - started < DEADLINE_MS / 1000 + SLACK
            assert_by_words(wired.shop, answer)
        (traffic,) = wired.gateway.state().traffic
        # Whoever judges the release must see that it did not answer.
        assert traffic.failed >= 3
        # All gateways leaving the Service at once would turn a short outage into refused connections.
        assert wired.gateway.ready()["ready"] is True
    finally:
        cable.set(Mode.OPEN)
    answered(wired.gateway)


@pytest.mark.parametrize("part", ["encoder", "milvus"])
def test_without_a_needed_part_and_the_catalogue_there_is_503_that_names_the_part(
    wired: Wired, part: str
) -> None:
    answered(wired.gateway)
    cables: tuple[Cable, ...] = (getattr(wired, part), wired.elasticsearch)
    for cable in cables:
        cable.set(Mode.CUT)
    try:
        answer = wired.gateway.search(QUERIES[0])
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["field"] == part
        assert set(answer.json()) == {"error", "field"}
        assert wired.gateway.ready()["ready"] is True
    finally:
        for cable in cables:
            cable.set(Mode.OPEN)
    answered(wired.gateway)


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.SILENT])
def test_without_the_catalogue_hits_are_as_they_were_stored_and_the_answer_says_so(
    wired: Wired, mode: Mode
) -> None:
    answered(wired.gateway)
    whole = wired.gateway.search(QUERIES[0]).json()
    wired.elasticsearch.set(mode)
    try:
        started = time.monotonic()
        response = wired.gateway.search(QUERIES[0])
        assert time.monotonic() - started < DEADLINE_MS / 1000 + SLACK
    finally:
        wired.elasticsearch.set(Mode.OPEN)
    answer = response.json()
    assert (response.status_code, answer["degraded"], answer["dropped"]) == (200, ["catalogue"], 0)
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in whole["hits"]]
    assert answer["path"] == "stored"
    for hit, live in zip(answer["hits"], whole["hits"], strict=True):
        assert hit == {**live, "stored": True, "stock": None}
    answered(wired.gateway)


def test_many_queries_during_an_outage_all_end_in_time(wired: Wired) -> None:
    answered(wired.gateway)
    wired.milvus.set(Mode.SILENT)
    try:
        with httpx.Client(timeout=10) as client:
            for _ in range(5):
                started = time.monotonic()
                assert_by_words(
                    wired.shop,
                    client.get(f"{wired.gateway.url}/search", params={"q": "大米", "mode": "semantic"}),
                )
                assert time.monotonic() - started < DEADLINE_MS / 1000 + SLACK
    finally:
        wired.milvus.set(Mode.OPEN)
    answered(wired.gateway)


def test_an_encoder_of_another_fingerprint_never_answers(shop: Shop, tmp_path: Path) -> None:
    wrong = shop.blue.snapshot.model_copy(update={"encoder_url": shop.green_encoder.url})
    with GatewayProcess(tmp_path) as gateway:
        gateway.mount(wrong.to_json())
        wait_until("the snapshot to be held", lambda: gateway.ready()["release"] == wrong.release)
        for query in QUERIES:
            answer = gateway.search(query)
            assert_by_words(shop, answer)
        wait_until("the stores to have answered", lambda: list(gateway.ready()["waiting_for"]) == ["encoder"])
        assert gateway.ready()["ready"] is False
        gateway.serve(shop.blue.snapshot)
        assert gateway.search(QUERIES[0]).status_code == 200


def test_an_answer_by_meaning_counts_although_words_were_looked_for(shop: Shop, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, keywords_after_ms=1) as gateway:
        gateway.serve(shop.blue.snapshot)
        assert {gateway.search(query).json()["path"] for query in QUERIES} == {"semantic"}


def test_without_keywords_a_part_that_is_away_is_503(shop: Shop, tmp_path: Path) -> None:
    wrong = shop.blue.snapshot.model_copy(update={"encoder_url": shop.green_encoder.url})
    with GatewayProcess(tmp_path, keywords_after_ms=0) as gateway:
        gateway.mount(wrong.to_json())
        wait_until("the snapshot to be held", lambda: gateway.ready()["release"] == wrong.release)
        answer = gateway.search(QUERIES[0])
        assert (answer.status_code, answer.json()) == (
            503,
            {"error": "the encoder serves another fingerprint than this release's", "field": "encoder"},
        )


def test_a_collection_that_is_not_there_is_named(shop: Shop, tmp_path: Path) -> None:
    good = shop.blue.snapshot
    gone = good.model_copy(update={"milvus": good.milvus.model_copy(update={"collection": "test__gone"})})
    with GatewayProcess(tmp_path) as gateway:
        gateway.mount(gone.to_json())
        wait_until("the encoder to have answered", lambda: list(gateway.ready()["waiting_for"]) == ["milvus"])
        assert gateway.ready()["waiting_for"]["milvus"] == "collection test__gone does not exist"
        assert_by_words(shop, gateway.search(QUERIES[0]))


def test_an_index_that_is_not_there_is_waited_for(shop: Shop, tmp_path: Path) -> None:
    good = shop.blue.snapshot
    gone = good.model_copy(update={"catalogue": good.catalogue.model_copy(update={"index": "no-such-index"})})
    with GatewayProcess(tmp_path) as gateway:
        gateway.mount(gone.to_json())
        wait_until(
            "the rest to have answered", lambda: list(gateway.ready()["waiting_for"]) == ["elasticsearch"]
        )
        answer = gateway.search(QUERIES[0])
        assert (answer.status_code, answer.json()["degraded"]) == (200, ["catalogue"])


def test_rows_that_vanish_are_told_in_every_answer_until_they_stay_away(
    shop: Shop, tmp_path: Path, milvus_uri: str, elasticsearch_url: str
) -> None:
    release = fill_release(shop.blue_encoder, shop.elasticsearch, shop.index, elasticsearch_url, milvus_uri)
    client: Any = MilvusClient(milvus_uri)
    patient = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")}
    try:
        with GatewayProcess(tmp_path, **patient, probe_seconds=0.2) as gateway:
            gateway.serve(release.snapshot)
            assert gateway.search(QUERIES[0]).json()["degraded"] == []
            # To a gateway this looks as a replica without them does: nobody told the catalogue.
            client.delete(release.snapshot.milvus.collection, ids=list(release.ids[LEFT:]), timeout=60)
            answers: list[tuple[float, dict[str, Any]]] = []

            def ask() -> dict[str, Any]:
                answer: dict[str, Any] = gateway.search(QUERIES[len(answers) % len(QUERIES)]).json()
                answers.append((time.monotonic(), answer))
                return answer

            wait_until("a short answer", lambda: ask()["total"] < 10)
            began = answers[-1][0]
            wait_until("short answers to be believed", lambda: ask()["degraded"] == [])
            assert answers[-1][1]["total"] == LEFT
            assert answers[-1][0] - began >= DOUBTED_SECONDS
            assert all(answer["degraded"] == ["vectors"] for at, answer in answers[:-1] if at >= began)
            metrics = gateway.metrics()
            assert 'gateway_extra_searches_total{kind="short"}' in metrics
            assert 'gateway_degraded_answers_total{part="vectors"}' in metrics
    finally:
        client.close()
        drop_release(release)
