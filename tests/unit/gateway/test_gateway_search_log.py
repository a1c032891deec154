"""The search log: what it keeps, what it never keeps, and that no query ever waits for it."""

import asyncio
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from scipy import stats
from search_plane.gateway.answer import Answer, Hit, Timings
from search_plane.gateway.clicks import add_clicks
from search_plane.gateway.experiment import assigned
from search_plane.gateway.search_log import BATCH, BUCKETS, Click, Event, SearchLog, SearchLogMetrics, bucket
from search_plane.gateway.search_log_sinks import LOGGER, LogSettings, StdoutSink, search_log
from search_plane.release.policy import ExperimentPolicy

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def answer(query: str = "蓝牙耳机", scores: Sequence[float] = (0.9, 0.7, 0.4)) -> Answer:
    hits = [Hit(id=f"SP{place}", score=score, rank=place) for place, score in enumerate(scores, 1)]
    return Answer(
        query=query, release="r-1", fingerprint="sha256:0", path="semantic", degraded=["catalogue"], hits=hits,
        total=len(hits), dropped=0, timings_ms=Timings(embed=1, vector=2, join=3, total=6.04),
    )  # fmt: skip


class Keeping:
    """A sink of the tests': keeps events, and can fail, hang or refuse as the test wants."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failing = False
        self.refusing = 0
        self.closed = False
        self.tried = asyncio.Event()
        self.wrote = asyncio.Event()

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    async def write(self, events: Sequence[Event]) -> int:
        self.tried.set()
        await self.open.wait()
        if self.failing:
            raise ConnectionError("away")
        self.batches.append(list(events))
        self.wrote.set()
        return self.refusing

    async def close(self) -> None:
        self.closed = True


class Bed:
    """A log over such a sink."""

    def __init__(self, capacity: int = 1000) -> None:
        self.sink = Keeping()
        self.registry = CollectorRegistry()
        self.log = SearchLog(self.sink, "salt", SearchLogMetrics(self.registry), capacity, lambda: NOON)

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"gateway_search_log_{name}", labels) or 0.0


def play(story: Callable[[Bed], Awaitable[None]], capacity: int = 1000) -> Bed:
    """Runs the story beside the log's own task, then closes the log."""

    async def run() -> Bed:
        bed = Bed(capacity)
        writing = asyncio.create_task(bed.log.run())
        try:
            async with asyncio.timeout(30):
                await story(bed)
        finally:
            writing.cancel()
            await asyncio.wait({writing})
            await bed.log.close()
        return bed

    return asyncio.run(run())


def test_an_exposure_says_what_was_shown_and_of_the_user_only_a_bucket() -> None:
    async def story(bed: Bed) -> None:
        policy = ExperimentPolicy(name="hybrid", arms=(("fused", 1.0),))
        bed.log.exposure(
            answer("送到13812345678的耳机"),
            "user-42",
            search_id="s-1",
            mode="fused",
            assignment=assigned("user-42", policy),
            policy="abc",
            filtered=True,
            cohort=False,
        )

    (event,) = play(story).sink.events
    assert len(str(event["event_id"])) == 32
    assert {name: value for name, value in event.items() if name != "event_id"} == {
        "@timestamp": "2026-11-23T12:00:00.000Z",
        "event": "exposure",
        "search_id": "s-1",
        "query": "送到[phone]的耳机",
        "bucket": bucket("user-42", b"salt"),
        "experiment": "hybrid",
        "arm": "fused",
        "share": 1.0,
        "mode": "fused",
        "path": "semantic",
        "degraded": ["catalogue"],
        "reranked": False,
        "cohort": False,
        "filtered": True,
        "offset": 0,
        "hits": ["SP1", "SP2", "SP3"],
        "top_score": 0.9,
        "margin": pytest.approx(0.2),
        "release": "r-1",
        "policy": "abc",
        "ms": 6.0,
    }
    assert "user-42" not in json.dumps(event)


def test_without_hits_or_a_key_there_are_no_scores_and_no_bucket() -> None:
    async def story(bed: Bed) -> None:
        bed.log.exposure(answer(scores=()), None, search_id="s")
        bed.log.exposure(answer(scores=(0.5,)), None, search_id="s")

    none, one = play(story).sink.events
    assert (none["hits"], none["top_score"], none["margin"], none["bucket"]) == ([], None, None, None)
    assert (one["top_score"], one["margin"]) == (0.5, None)


def test_a_search_that_the_arm_did_not_decide_belongs_to_no_experiment() -> None:
    async def story(bed: Bed) -> None:
        deals = assigned("u", ExperimentPolicy(arms=(("fused", 1.0),)))
        bed.log.exposure(answer(), "u", search_id="s", mode="keyword", assignment=deals)

    (event,) = play(story).sink.events
    assert (event["mode"], event["experiment"], event["arm"], event["share"]) == ("keyword", None, None, None)


def test_a_click_names_the_search_and_the_hit() -> None:
    async def story(bed: Bed) -> None:
        bed.log.click(Click(search_id="s-1", id="SP2", rank=2))

    (event,) = play(story).sink.events
    assert {name: event[name] for name in ("event", "search_id", "id", "rank")} == {
        "event": "click", "search_id": "s-1", "id": "SP2", "rank": 2,
    }  # fmt: skip


def test_a_full_queue_drops_and_counts_and_nobody_waits() -> None:
    async def story(bed: Bed) -> None:
        bed.sink.open.clear()
        bed.log.exposure(answer(), None, search_id="first")
        await bed.sink.tried.wait()
        started = time.perf_counter()
        for number in range(500):
            bed.log.exposure(answer(), None, search_id=f"s-{number}")
        assert time.perf_counter() - started < 1.0
        assert bed.value("dropped_total", reason="full") == 400
        assert bed.value("waiting") == 100
        bed.sink.open.set()

    bed = play(story, capacity=100)
    # The oldest are kept, in their order.
    assert [event["search_id"] for event in bed.sink.events] == ["first", *(f"s-{n}" for n in range(100))]
    assert bed.value("events_total") == 101
    assert bed.sink.closed


def test_a_destination_that_was_away_gets_all_of_it_once() -> None:
    async def story(bed: Bed) -> None:
        bed.sink.failing = True
        for number in range(BATCH + 20):
            bed.log.exposure(answer(), None, search_id=f"s-{number}")
        await bed.sink.tried.wait()
        bed.sink.failing = False
        bed.sink.wrote.clear()
        await bed.sink.wrote.wait()

    bed = play(story)
    assert [event["search_id"] for event in bed.sink.events] == [f"s-{n}" for n in range(BATCH + 20)]
    assert max(map(len, bed.sink.batches)) == BATCH
    assert bed.value("failures_total") >= 1
    assert bed.value("dropped_total", reason="full") == 0


def test_what_is_refused_for_good_is_counted() -> None:
    async def story(bed: Bed) -> None:
        bed.sink.refusing = 1
        for _ in range(3):
            bed.log.exposure(answer(), None, search_id="s")

    bed = play(story)
    assert (bed.value("events_total"), bed.value("dropped_total", reason="refused")) == (2, 1)


def test_at_the_end_what_waits_is_written_or_counted() -> None:
    async def story(bed: Bed) -> None:
        bed.sink.failing = True
        for _ in range(7):
            bed.log.exposure(answer(), None, search_id="s")

    bed = play(story)
    assert bed.value("dropped_total", reason="ended") == 7
    assert bed.sink.closed


def test_without_a_destination_nothing_is_taken() -> None:
    async def run() -> None:
        log = SearchLog(None)
        assert not log.takes
        log.exposure(answer(), "u", search_id="s")
        await log.run()
        await log.close()

    asyncio.run(run())


def test_buckets_are_even_and_hang_on_the_salt() -> None:
    keys = [f"user-{number}" for number in range(40_960)]
    counts = Counter(bucket(key, b"one") for key in keys)
    assert set(counts) <= set(range(BUCKETS))
    assert stats.chisquare([counts[number] for number in range(BUCKETS)]).pvalue > 0.001
    same = sum(bucket(key, b"one") == bucket(key, b"two") for key in keys)
    assert same < 40


def test_without_a_salt_one_is_drawn() -> None:
    buckets = set()
    for _ in range(3):
        sink = Keeping()
        log = SearchLog(sink)
        log.exposure(answer(), "user-1", search_id="s")
        asyncio.run(log.close())
        buckets.add(sink.events[0]["bucket"])
    assert len(buckets) > 1


@pytest.fixture
def stdout_lines() -> Iterator[io.StringIO]:
    logger = logging.getLogger(LOGGER)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_standard_output_gets_one_line_an_event(stdout_lines: io.StringIO) -> None:
    log = SearchLog(StdoutSink(), "salt")

    async def run() -> None:
        log.exposure(answer(), "u", search_id="s-1")
        log.click(Click(search_id="s-1", id="SP1", rank=1))
        await log.close()

    asyncio.run(run())
    lines = [json.loads(line) for line in stdout_lines.getvalue().splitlines()]
    assert [(line["event"], line["search_id"]) for line in lines] == [("exposure", "s-1"), ("click", "s-1")]
    assert "蓝牙耳机" in stdout_lines.getvalue()


@pytest.mark.parametrize(
    ("environment", "destination"),
    [({}, "none"), ({"SEARCH_LOG_DESTINATION": "Stdout"}, "stdout"), ({"SEARCH_LOG_DESTINATION": "None"}, "none"),
     ({"SEARCH_LOG_DESTINATION": "Elasticsearch", "SEARCH_LOG_INDEX": "searches"}, "elasticsearch")],
)  # fmt: skip
def test_settings_come_from_the_environment(environment: dict[str, str], destination: str) -> None:
    settings = LogSettings.from_environment(environment | {"SEARCH_LOG_SALT": "secret-salt"})
    assert settings.destination == destination
    assert "secret-salt" not in repr(settings)
    assert search_log(settings, lambda: None, CollectorRegistry()).takes is (destination != "none")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SEARCH_LOG_DESTINATION": "syslog"}, "destination"),
        ({"SEARCH_LOG_DESTINATION": "elasticsearch"}, "SEARCH_LOG_INDEX"),
    ],
)
def test_wrong_settings_are_named_and_the_salt_is_not_told(environment: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError, match=named) as refused:
        LogSettings.from_environment(environment | {"SEARCH_LOG_SALT": "secret-salt"})
    assert "secret-salt" not in str(refused.value)


def post(content: bytes, kind: str = "application/json") -> tuple[httpx.Response, list[Event]]:
    """POST /click; the answer and what was logged."""

    async def run() -> tuple[httpx.Response, list[Event]]:
        bed = Bed()
        app = FastAPI()
        add_clicks(app, bed.log)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            response = await client.post("/click", content=content, headers={"Content-Type": kind})
            assert (await client.get("/openapi.json")).json()["paths"]["/click"]["post"]["requestBody"][
                "required"
            ]
        await bed.log.close()
        return response, bed.sink.events

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["application/json", "text/plain;charset=UTF-8"])
def test_a_click_is_taken_as_beacons_send_it(kind: str) -> None:
    response, events = post('{"search_id":"s-1","id":"SP一","rank":3}'.encode(), kind)
    assert (response.status_code, response.content) == (204, b"")
    assert [(event["search_id"], event["id"], event["rank"]) for event in events] == [("s-1", "SP一", 3)]


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        (b"", 400, "body"), (b"{", 400, "body"), (b"[]", 400, "body"), (b"\xff\xfe", 400, "body"),
        (b'{"search_id":"s","id":"x"}', 400, "rank"), (b'{"search_id":"s","id":"x","rank":0}', 400, "rank"),
        (b'{"search_id":"s s","id":"x","rank":1}', 400, "search_id"), (b'{"search_id":"s","id":"","rank":1}', 400, "id"),
        (b'{"search_id":"s","id":"x","rank":1,"user":"me"}', 400, "user"), (b"x" * 5000, 413, "body"),
    ],
)  # fmt: skip
def test_what_is_no_click_is_refused_by_field(content: bytes, status: int, field: str) -> None:
    response, events = post(content)
    assert (response.status_code, response.json()["field"], events) == (status, field, [])
