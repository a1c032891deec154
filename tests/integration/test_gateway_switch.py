"""Switching releases and leaving, both under load: nothing is lost and nothing is mixed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.integration.cable import Cable, Mode
from tests.integration.gateway_bed import QUERIES, SCORE_TOLERANCE, GatewayProcess, Release
from tests.integration.gateway_fixtures import Shop, shop
from tests.testbed.plane import wait_until

__all__ = ["shop"]

pytestmark = pytest.mark.stores

WORKERS = 4
K = 10
# Whether a query is lost or mixed is asked here, not how fast it is: a busy machine gets its time.
PATIENT = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")}


@dataclass
class Load:
    """Queries from several workers over kept connections until `stop` is set. All that happened is kept."""

    url: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    answers: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Runs the workers."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            await asyncio.gather(*(self._work(session, number) for number in range(WORKERS)))

    async def _work(self, session: aiohttp.ClientSession, number: int) -> None:
        while not self.stop.is_set():
            number += 1
            query = QUERIES[number % len(QUERIES)]
            try:
                asked = {"q": query, "k": str(K), "mode": "semantic", "understand": "false"}
                async with session.get(f"{self.url}/search", params=asked) as response:
                    body = await response.json()
                    if response.status == 200:
                        self.answers.append(body)
                    else:
                        self.failures.append(f"{response.status} {body}")
            except aiohttp.ClientError as error:
                self.failures.append(f"{type(error).__name__}: {error}")


async def during(load: Load, story: Callable[[], Awaitable[None]]) -> None:
    """Runs the story while the load goes on."""
    running = asyncio.create_task(load.run())
    try:
        await story()
    finally:
        load.stop.set()
        await running


async def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Like `wait_until`, while the load goes on."""
    await asyncio.to_thread(wait_until, what, condition, seconds)


def assert_wholly_from(answer: dict[str, Any], release: Release) -> None:
    """The answer's names and every hit's score are this release's own, and its first hit is the nearest."""
    assert answer["fingerprint"] == release.snapshot.fingerprint
    assert answer["degraded"] == []
    assert answer["total"] == K
    query = answer["query"]
    assert answer["hits"][0]["score"] == pytest.approx(release.nearest(query, 1)[0][1], abs=SCORE_TOLERANCE)
    for hit in answer["hits"]:
        assert hit["score"] == pytest.approx(release.score(query, hit["id"]), abs=SCORE_TOLERANCE)


@pytest.fixture
def gateway(shop: Shop, tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path, **PATIENT) as process:
        process.serve(shop.blue.snapshot)
        yield process


def test_the_two_releases_disagree(shop: Shop) -> None:
    """Else the test below could not tell them apart."""
    for query in QUERIES:
        blue, green = shop.blue.nearest(query, 1)[0], shop.green.nearest(query, 1)[0]
        assert abs(blue[1] - shop.green.score(query, blue[0])) > 10 * SCORE_TOLERANCE
        assert abs(green[1] - shop.blue.score(query, green[0])) > 10 * SCORE_TOLERANCE


def test_every_answer_during_switches_is_wholly_from_one_release(shop: Shop, gateway: GatewayProcess) -> None:
    load = Load(gateway.url)
    order = [shop.green, shop.blue] * 4

    async def story() -> None:
        for release in order:
            name, before = release.snapshot.release, len(load.answers)
            gateway.mount(release.snapshot.to_json()[:300])
            gateway.mount(release.snapshot.to_json())

            def answers_from(name: str = name, before: int = before) -> bool:
                return Counter(answer["release"] for answer in load.answers[before:])[name] > 20

            await until(f"answers from {name}", answers_from)

    asyncio.run(during(load, story))
    assert load.failures == []
    by_name = {release.snapshot.release: release for release in (shop.blue, shop.green)}
    for answer in load.answers:
        assert_wholly_from(answer, by_name[answer["release"]])
    counts = Counter(answer["release"] for answer in load.answers)
    print(
        f"\nswitches under load: {len(order)}, answers: {dict(counts)}, failed: {len(load.failures)}, mixed: 0"
    )
    assert set(counts) == set(by_name)


def test_twenty_announced_switches_under_load_lose_and_mix_nothing(
    shop: Shop, gateway: GatewayProcess
) -> None:
    """Back and forth between two releases, each first with another ef and depth, which is a switch too."""
    load = Load(gateway.url)
    blue, green = (release.snapshot for release in (shop.blue, shop.green))
    deeper = [
        one.model_copy(update={"top_k": 90, "milvus": one.milvus.model_copy(update={"ef": 256})})
        for one in (blue, green)
    ]
    order = [deeper[0], green, deeper[1], blue] * 5
    seconds: list[float] = []

    async def story() -> None:
        now = blue
        for coming in order:
            await asyncio.to_thread(gateway.announce, now, coming)
            started, before = time.monotonic(), len(load.answers)
            gateway.mount(coming.to_json())

            def in_use(revision: str = coming.revision()) -> bool:
                return gateway.state().revision == revision

            await until(f"{coming.release} in use", in_use, 10)
            seconds.append(time.monotonic() - started)

            def answered(before: int = before) -> bool:
                return len(load.answers) > before + 10

            await until("answers after it", answered)
            now = coming

    asyncio.run(during(load, story))
    assert load.failures == []
    by_name = {release.snapshot.release: release for release in (shop.blue, shop.green)}
    for answer in load.answers:
        assert_wholly_from(answer, by_name[answer["release"]])
    counts = Counter(answer["release"] for answer in load.answers)
    assert set(counts) == set(by_name)
    wait_until("replaced releases to be left", lambda: gateway.state().leaving == ())
    traffic = {one.release: one for one in gateway.state().traffic}
    assert [one.failed for one in traffic.values()] == [0, 0]
    print(
        f"\nannounced switches: {len(order)}, answers: {dict(counts)}, failed: 0, mixed: 0;"
        f" from the file to its use at most {max(seconds) * 1000:.0f} ms"
    )
    # No part is asked any more at the switch: it takes the next look at the file.
    assert max(seconds) < 5.0


def test_a_release_that_can_not_be_prepared_changes_nothing_and_may_be_taken_back(
    shop: Shop, gateway: GatewayProcess
) -> None:
    blue, green = shop.blue.snapshot, shop.green.snapshot
    shop.green_encoder.kill()
    try:
        gateway.mount(blue.to_json(), green.to_json())
        wait_until("the encoder to be missed", lambda: list(gateway.state().waiting_for) == ["encoder"])
        state = gateway.state()
        assert (state.release, state.next, state.next_revision) == (
            blue.release, green.release, green.revision(),
        )  # fmt: skip
        assert state.prepared is False
        # Named although it is not prepared: it waits, and the one in use answers.
        gateway.mount(green.to_json(), green.to_json())
        wait_until("it to be pending", lambda: gateway.ready()["pending"] == green.release)
        for query in QUERIES:
            assert_wholly_from(gateway.search(query, K).json(), shop.blue)
        # The pointer goes back while the next one is still being prepared.
        gateway.mount(blue.to_json(), green.to_json())
        wait_until("it to be pending no more", lambda: gateway.ready()["pending"] is None)
        assert gateway.state().next == green.release
        gateway.mount(blue.to_json())
        wait_until("it to be let go", lambda: gateway.state().next == "")
        assert_wholly_from(gateway.search(QUERIES[0], K).json(), shop.blue)
        assert gateway.ready()["ready"] is True
    finally:
        shop.green_encoder.start()


def test_prepared_is_true_to_now(shop: Shop, gateway: GatewayProcess) -> None:
    blue, green = shop.blue.snapshot, shop.green.snapshot
    gateway.announce(blue, green)
    shop.green_encoder.kill()
    try:
        wait_until("the encoder to be missed", lambda: not gateway.state().prepared, 30)
        assert list(gateway.state().waiting_for) == ["encoder"]
    finally:
        shop.green_encoder.start()
    wait_until("it to be prepared again", lambda: gateway.state().prepared, 30)
    assert gateway.state().release == blue.release


def test_a_replaced_release_is_leaving_until_its_last_query_has_ended(shop: Shop, tmp_path: Path) -> None:
    parts = urlsplit(shop.blue.snapshot.encoder_url)
    blue, green = shop.blue.snapshot, shop.green.snapshot
    with (
        Cable(parts.hostname or "", parts.port or 0) as cable,
        GatewayProcess(tmp_path, **PATIENT) as gateway,
    ):
        slow = blue.model_copy(update={"encoder_url": f"http://{cable.address}"})
        gateway.serve(slow)
        gateway.announce(slow, green)
        cable.set(Mode.SILENT)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(gateway.search, QUERIES[0])
            inflight = "gateway_inflight_requests 2.0"
            wait_until("the query to be under way", lambda: inflight in gateway.metrics(), 10)
            gateway.mount(green.to_json())
            wait_until("the switch", lambda: gateway.state().release == green.release, 10)
            assert gateway.state().leaving == (slow.release,)
            assert gateway.search(QUERIES[0]).json()["release"] == green.release
            cable.set(Mode.OPEN)
            assert_wholly_from(asked.result(10).json(), shop.blue)
        wait_until("it to be left", lambda: gateway.state().leaving == (), 10)


def test_a_collection_of_another_fingerprint_is_never_prepared_and_never_answers(
    shop: Shop, tmp_path: Path
) -> None:
    blue, green = shop.blue.snapshot, shop.green.snapshot
    mixed = green.model_copy(update={"milvus": blue.milvus, "release": "r-mixed000"})
    why = f"collection {blue.milvus.collection} is of another fingerprint"
    with GatewayProcess(tmp_path, **PATIENT) as gateway:
        gateway.mount(mixed.to_json())
        wait_until("the collection to be refused", lambda: gateway.state().waiting_for == {"milvus": why})
        answer = gateway.search(QUERIES[0])
        assert (answer.status_code, answer.json()["path"]) == (200, "keyword")
        assert answer.json()["degraded"] == ["semantic"]
        gateway.serve(blue)
        gateway.mount(blue.to_json(), mixed.to_json())
        wait_until("the collection to be refused", lambda: gateway.state().waiting_for == {"milvus": why})
        assert gateway.state().prepared is False


def test_a_release_whose_encoder_is_away_waits_and_the_old_one_answers(
    shop: Shop, gateway: GatewayProcess
) -> None:
    green = shop.green.snapshot.release
    shop.green_encoder.kill()
    try:
        gateway.mount(shop.green.snapshot.to_json())
        wait_until("the new release to be pending", lambda: gateway.ready()["pending"] == green)
        for query in QUERIES:
            assert_wholly_from(gateway.search(query, K).json(), shop.blue)
        state = gateway.ready()
        assert (state["ready"], state["release"]) == (True, shop.blue.snapshot.release)
    finally:
        shop.green_encoder.start()
    wait_until("the new release to be in use", lambda: gateway.ready()["release"] == green)
    assert_wholly_from(gateway.search(QUERIES[0], K).json(), shop.green)


def test_a_bad_release_file_changes_no_answer(shop: Shop, gateway: GatewayProcess) -> None:
    good = shop.green.snapshot
    lying = good.model_copy(update={"fingerprint": shop.blue.snapshot.fingerprint}).to_json()
    for bad in ("", good.to_json()[:-2], lying):
        gateway.mount(bad)
        wait_until("the file to be refused", lambda: gateway.ready()["release_file"] is not None)
        assert gateway.ready()["ready"] is True
        assert_wholly_from(gateway.search(QUERIES[0], K).json(), shop.blue)
        gateway.mount(shop.blue.snapshot.to_json())
        wait_until("the file to be good", lambda: gateway.ready()["release_file"] is None)


def test_a_release_that_is_taken_back_is_served_no_more_until_it_is_given_again(
    shop: Shop, gateway: GatewayProcess
) -> None:
    gateway.mount("{}")
    wait_until("the release to be let go", lambda: not gateway.ready()["ready"])
    refused = gateway.search(QUERIES[0], K)
    assert (refused.status_code, refused.json()["field"]) == (503, "release")
    gateway.mount(shop.blue.snapshot.to_json())
    wait_until("the release to be in use", lambda: gateway.ready()["ready"])
    assert_wholly_from(gateway.search(QUERIES[0], K).json(), shop.blue)


def test_a_gateway_that_is_told_to_stop_loses_no_query(shop: Shop, tmp_path: Path) -> None:
    drain_seconds = 4.0
    with GatewayProcess(tmp_path, **PATIENT, drain_seconds=drain_seconds) as gateway:
        gateway.serve(shop.blue.snapshot)
        load = Load(gateway.url)

        async def story() -> None:
            await until("the load to run", lambda: len(load.answers) > 50)
            before = len(load.answers)
            gateway.terminate()
            await until("/readyz to say it is leaving", lambda: bool(gateway.ready()["draining"]), 3)
            # The cluster takes a moment to take the pod out of the Service; until then queries still come.
            await until("queries while it is leaving", lambda: len(load.answers) > before + 10, 3)

        asyncio.run(during(load, story))
        assert load.failures == []
        for answer in load.answers:
            assert_wholly_from(answer, shop.blue)
        assert gateway.wait() == 0
        print(f"\nstopped under load: {len(load.answers)} answered, {len(load.failures)} lost, exit code 0")


def test_queries_in_flight_at_the_end_are_finished(shop: Shop, tmp_path: Path) -> None:
    """No draining at all, and a slow encoder: the process ends only after its last answer."""
    parts = urlsplit(shop.blue.snapshot.encoder_url)
    with Cable(parts.hostname or "", parts.port or 0) as cable:
        snapshot = shop.blue.snapshot.model_copy(update={"encoder_url": f"http://{cable.address}"})
        with GatewayProcess(tmp_path, **PATIENT, drain_seconds=0) as gateway:
            gateway.serve(snapshot)
            cable.set(Mode.OPEN, delay=0.5)

            async def ask() -> list[int]:
                async with aiohttp.ClientSession() as session:

                    async def one(query: str) -> int:
                        asked = {"q": query, "mode": "semantic"}
                        async with session.get(f"{gateway.url}/search", params=asked) as response:
                            await response.read()
                            return response.status

                    asked = [asyncio.create_task(one(query)) for query in QUERIES]
                    inflight = f"gateway_inflight_requests {len(QUERIES) + 1}.0"
                    async with asyncio.timeout(10):
                        while True:
                            async with session.get(f"{gateway.url}/metrics") as response:
                                if inflight in await response.text():
                                    break
                    gateway.terminate()
                    return await asyncio.gather(*asked)

            started = time.monotonic()
            assert asyncio.run(ask()) == [200] * len(QUERIES)
            assert time.monotonic() - started >= 1.0
            assert gateway.wait() == 0
