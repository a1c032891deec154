"""What the gateway adds to the calls it makes: its own time per query, measured against those calls done directly."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import aiohttp
import pytest
from search_plane.gateway.collection import Collection
from search_plane.gateway.embedding import QueryEncoder
from search_plane.gateway.join import Catalogue
from search_plane.gateway.watch import SENTINELS, CollectionWatch, Expected
from search_plane.gateway.wholeness import Wholeness

from tests.integration.gateway_bed import QUERIES, GatewayProcess
from tests.integration.gateway_fixtures import PRODUCTS, Shop, shop

__all__ = ["shop"]

pytestmark = pytest.mark.stores

ROUNDS = 10
PROBES = 50
K = 10


@dataclass
class Measured:
    """Milliseconds per query: wall time through the gateway, done directly, and of each direct call; and CPU."""

    through: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)
    calls: list[tuple[float, float, float]] = field(default_factory=list)
    gateway_cpu: float = 0.0
    direct_cpu: float = 0.0


def test_the_gateways_own_time_is_small(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timeouts = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")}
    with GatewayProcess(tmp_path, **timeouts) as gateway:
        gateway.serve(shop.blue.snapshot)
        measured = asyncio.run(measure(shop, gateway))
    through, direct = statistics.median(measured.through), statistics.median(measured.direct)
    embed, vector, join = (statistics.median(column) for column in zip(*measured.calls, strict=True))
    with capsys.disabled():
        print(
            f"\n/search p50 {through:.2f} ms; its calls done directly p50 {direct:.2f} ms"
            f" (embed {embed:.2f}, Milvus {vector:.2f}, mget {join:.2f});"
            f" the gateway adds {through - direct:.2f} ms ({len(measured.through)} queries each, k={K});"
            f" processor time per query: gateway {measured.gateway_cpu:.2f} ms,"
            f" the calls' clients alone {measured.direct_cpu:.2f} ms"
        )
    # An order of magnitude, not a benchmark: the machine may be busy.
    assert through < 2 * direct + 5


def test_the_probe_of_the_sentinels_costs_little(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    async def probes() -> list[tuple[float, float]]:
        given = shop.blue.snapshot
        collection = Collection(given.milvus, 10)
        expected = Expected(given.fingerprint, given.encoder.dimension)
        watch = CollectionWatch(collection, Wholeness(), expected, 10)
        await watch.learn()
        await watch.probe()
        taken = []
        for _ in range(PROBES):
            started, used = perf_counter(), process_time()
            await watch.probe()
            taken.append((perf_counter() - started, process_time() - used))
        assert not watch.wholeness.doubtful
        assert watch.wholeness.rows == PRODUCTS
        await collection.close()
        return taken

    wall, cpu = (statistics.median(column) * 1000 for column in zip(*asyncio.run(probes()), strict=True))
    with capsys.disabled():
        print(
            f"\none probe ({SENTINELS} sentinels, twice): p50 {wall:.2f} ms,"
            f" processor time of the gateway {cpu:.2f} ms; one is made per second"
        )
    # At most a twentieth of a processor, by an order of magnitude: the machine may be busy.
    assert cpu < 50


async def measure(shop: Shop, gateway: GatewayProcess) -> Measured:
    """Asks each query through the gateway and directly, in turn."""
    snapshot = shop.blue.snapshot
    encoder = QueryEncoder(snapshot.encoder_url, snapshot.encoder, 10, connections=4)
    vectors = Collection(snapshot.milvus, 10)
    catalogue = Catalogue(snapshot.catalogue, 10, connections=4)
    until = asyncio.get_running_loop().time() + 300
    measured = Measured()
    direct_cpu = 0.0
    async with aiohttp.ClientSession() as session:

        async def through(query: str) -> float:
            started = perf_counter()
            asked = {"q": query, "k": str(K), "mode": "semantic", "understand": "false"}
            async with session.get(f"{gateway.url}/search", params=asked) as response:
                assert response.status == 200
                await response.read()
            return perf_counter() - started

        async def direct(query: str) -> tuple[float, float, float]:
            started = perf_counter()
            vector = await encoder.embed(query, until)
            embedded = perf_counter()
            (near,) = await vectors.search([vector], K, until)
            found = perf_counter()
            await catalogue.documents([neighbour.id for neighbour in near], until)
            return embedded - started, found - embedded, perf_counter() - found

        # The first round opens connections and fills caches.
        for query in QUERIES:
            await through(query)
            await direct(query)
        before = gateway.cpu_seconds()
        for query in QUERIES * ROUNDS:
            measured.through.append(await through(query) * 1000)
            used = process_time()
            embed, vector, join = await direct(query)
            direct_cpu += process_time() - used
            measured.direct.append((embed + vector + join) * 1000)
            measured.calls.append((embed * 1000, vector * 1000, join * 1000))
        count = len(measured.through)
        measured.gateway_cpu = (gateway.cpu_seconds() - before) * 1000 / count
        measured.direct_cpu = direct_cpu * 1000 / count
    await asyncio.gather(encoder.close(), vectors.close(), catalogue.close())
    return measured
