"""What the gateway adds to the calls it makes: its own time per query, measured against those calls done directly."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from time import perf_counter

import aiohttp
import pytest
from search_plane.gateway.embedding import QueryEncoder
from search_plane.gateway.join import Catalogue
from search_plane.gateway.vectors import VectorSearch

from tests.integration.gateway_bed import QUERIES, GatewayProcess
from tests.integration.gateway_fixtures import Shop, shop

__all__ = ["shop"]

pytestmark = pytest.mark.stores

ROUNDS = 10
K = 10


def test_the_gateways_own_time_is_small(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timeouts = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")}
    with GatewayProcess(tmp_path, **timeouts) as gateway:
        gateway.serve(shop.blue.snapshot)
        through, direct, calls = asyncio.run(measure(shop, gateway))
    p50_through, p50_direct = statistics.median(through), statistics.median(direct)
    p50_calls = [statistics.median(column) for column in zip(*calls, strict=True)]
    with capsys.disabled():
        print(
            f"\n/search p50 {p50_through:.2f} ms; its calls done directly p50 {p50_direct:.2f} ms"
            f" (embed {p50_calls[0]:.2f}, Milvus {p50_calls[1]:.2f}, mget {p50_calls[2]:.2f});"
            f" the gateway adds {p50_through - p50_direct:.2f} ms ({len(through)} queries each, k={K})"
        )
    # An order of magnitude, not a benchmark: the machine may be busy.
    assert p50_through < 2 * p50_direct + 5


async def measure(
    shop: Shop, gateway: GatewayProcess
) -> tuple[list[float], list[float], list[tuple[float, float, float]]]:
    """Milliseconds per query through the gateway, and done directly in all and by call; alternating."""
    snapshot = shop.blue.snapshot
    encoder = QueryEncoder(snapshot.encoder_url, snapshot.encoder, 10, connections=4)
    vectors = VectorSearch(snapshot.milvus, 10)
    catalogue = Catalogue(snapshot.catalogue, 10, connections=4)
    until = asyncio.get_running_loop().time() + 300
    through: list[float] = []
    direct: list[float] = []
    calls: list[tuple[float, float, float]] = []
    async with aiohttp.ClientSession() as session:
        for round_ in range(ROUNDS + 1):
            for query in QUERIES:
                started = perf_counter()
                async with session.get(f"{gateway.url}/search", params={"q": query, "k": str(K)}) as response:
                    assert response.status == 200
                    await response.read()
                answered = perf_counter()
                vector = await encoder.embed(query, until)
                embedded = perf_counter()
                near = await vectors.nearest(vector, K, until)
                found = perf_counter()
                await catalogue.documents([neighbour.id for neighbour in near], until)
                joined = perf_counter()
                # The first round opens connections and fills caches.
                if round_:
                    through.append((answered - started) * 1000)
                    direct.append((joined - answered) * 1000)
                    calls.append(
                        (
                            (embedded - answered) * 1000,
                            (found - embedded) * 1000,
                            (joined - found) * 1000,
                        )
                    )
    await asyncio.gather(encoder.close(), vectors.close(), catalogue.close())
    return through, direct, calls
