"""The search log in a real Elasticsearch: written once, held through an outage, and read back by the reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from uuid import uuid4

import orjson
import pytest
from click.testing import CliRunner
from elasticsearch import Elasticsearch
from prometheus_client import CollectorRegistry
from search_plane.gateway.answer import Answer, Hit, Timings
from search_plane.gateway.search_log import Click
from search_plane.gateway.search_log_sinks import ElasticsearchSink, LogSettings, search_log
from search_plane.listening.experiment_command import group as experiment
from search_plane.listening.listening_command import group as listening
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import connect_blocking

from tests.testbed.plane import free_port
from tests.testbed.search_traffic import BETTER, lines, traffic

pytestmark = pytest.mark.stores


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with connect_blocking(CatalogueTarget(url=elasticsearch_url, index=""), timeout=60) as client:
        yield client


@pytest.fixture
def index(client: Elasticsearch) -> Iterator[str]:
    name = f"search-log-{uuid4().hex[:8]}"
    yield name
    client.indices.delete(index=name, ignore_unavailable=True)


def answer(number: int) -> Answer:
    return Answer(
        query=f"蓝牙耳机 {number}", release="r-1", fingerprint="sha256:0", degraded=[],
        hits=[Hit(id="SP1", score=1, rank=1)], total=1, dropped=0, timings_ms=Timings(embed=1, vector=1, join=1, total=3),
    )  # fmt: skip


async def soon(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Returns when it holds; the index itself has no event to wait for."""
    ends = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < ends, f"waited {seconds:.0f} s for {what}"
        await asyncio.sleep(0.02)


def stored(client: Elasticsearch, index: str) -> list[dict[str, object]]:
    client.indices.refresh(index=index)
    hits = client.search(index=index, size=1000, sort="@timestamp")["hits"]["hits"]
    return [hit["_source"] for hit in hits]


def test_events_become_documents(client: Elasticsearch, elasticsearch_url: str, index: str) -> None:
    registry = CollectorRegistry()
    settings = LogSettings(destination="elasticsearch", index=index, salt="a salt")
    log = search_log(settings, lambda: CatalogueTarget(url=elasticsearch_url, index="products"), registry)

    async def story() -> None:
        writing = asyncio.create_task(log.run())
        for number in range(1200):
            log.exposure(answer(number), f"user-{number}", search_id=f"s-{number}")
        log.click(Click(search_id="s-3", id="SP1", rank=1))
        await soon("all events to be written", lambda: log.waiting == 0)
        assert registry.get_sample_value("gateway_search_log_events_total") == 1201
        writing.cancel()
        await asyncio.wait({writing})
        await log.close()

    asyncio.run(story())
    assert client.indices.refresh(index=index)
    assert client.count(index=index)["count"] == 1201
    (click,) = [one for one in stored(client, index) if one["event"] == "click"] or [
        hit["_source"]
        for hit in client.search(index=index, query={"match": {"event": "click"}})["hits"]["hits"]
    ]
    assert (click["search_id"], click["id"], click["rank"]) == ("s-3", "SP1", 1)
    # The times are dates, so that a report can ask for a week.
    assert (
        client.indices.get_mapping(index=index)[index]["mappings"]["properties"]["@timestamp"]["type"]
        == "date"
    )


def test_a_batch_that_is_sent_again_makes_no_document_twice(
    client: Elasticsearch, elasticsearch_url: str, index: str
) -> None:
    """As after an answer that got lost; and what can't be indexed is refused for good and alone."""

    async def story() -> list[int]:
        sink = ElasticsearchSink(lambda: CatalogueTarget(url=elasticsearch_url, index="products"), index)
        base = {"@timestamp": "2026-11-23T09:00:00Z", "event": "click", "search_id": "s", "id": "SP1"}
        good = [{**base, "event_id": f"e{number}", "rank": number} for number in range(3)]
        bad = {**base, "event_id": "bad", "rank": "not a number"}
        refused = [await sink.write(good), await sink.write([*good, bad])]
        await sink.close()
        return refused

    assert asyncio.run(story()) == [0, 1]
    assert sorted(str(one["event_id"]) for one in stored(client, index)) == ["e0", "e1", "e2"]


def test_what_comes_while_elasticsearch_is_away_is_written_when_it_is_back(
    client: Elasticsearch, elasticsearch_url: str, index: str
) -> None:
    where = [CatalogueTarget(url=f"http://127.0.0.1:{free_port()}", index="products")]
    registry = CollectorRegistry()

    def failures() -> float:
        return registry.get_sample_value("gateway_search_log_failures_total") or 0.0

    async def story() -> None:
        settings = LogSettings(destination="elasticsearch", index=index, salt="a salt")
        log = search_log(settings, lambda: where[0], registry)
        writing = asyncio.create_task(log.run())
        for number in range(10):
            log.exposure(answer(number), None, search_id=f"s-{number}")
        await soon("an attempt that fails", lambda: failures() > 0)
        where[0] = CatalogueTarget(url=elasticsearch_url, index="products")
        await soon("all events to be written", lambda: log.waiting == 0)
        writing.cancel()
        await asyncio.wait({writing})
        await log.close()

    asyncio.run(story())
    assert len(stored(client, index)) == 10


def test_the_reports_read_an_index_as_they_read_files(
    client: Elasticsearch, elasticsearch_url: str, index: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    events = traffic(600, BETTER)
    path = tmp_path_factory.mktemp("log") / "searches.jsonl"
    path.write_bytes(b"".join(lines(events)))

    async def write() -> None:
        sink = ElasticsearchSink(lambda: CatalogueTarget(url=elasticsearch_url, index="products"), index)
        for start in range(0, len(events), 500):
            assert await sink.write(events[start : start + 500]) == 0
        await sink.close()

    asyncio.run(write())
    client.indices.refresh(index=index)
    stored_log = ["--elasticsearch", elasticsearch_url, "--index", index]
    for command in (experiment, listening):
        told = [
            CliRunner().invoke(command, ["report", *where, "--json"])
            for where in (["--log", str(path)], stored_log)
        ]
        assert [run.exit_code for run in told] == [0, 0], [run.output for run in told]
        assert orjson.loads(told[0].stdout) == orjson.loads(told[1].stdout)
    day = CliRunner().invoke(
        experiment, ["report", *stored_log, "--since", "2026-11-18", "--until", "2026-11-19", "--json"]
    )
    report = orjson.loads(day.stdout)
    assert report["since"].startswith("2026-11-18T00")
    assert report["until"].startswith("2026-11-18T23")


def test_an_index_that_is_not_there_is_one_line(elasticsearch_url: str) -> None:
    where = ["--elasticsearch", elasticsearch_url, "--index", "nobodys-log"]
    run = CliRunner().invoke(experiment, ["report", *where])
    assert run.exit_code == 1
    assert run.output.strip() == f"Error: {elasticsearch_url} nobodys-log: it does not exist"
