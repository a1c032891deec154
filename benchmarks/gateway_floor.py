"""The floor under the gateway: its parts called directly: `python -m benchmarks.gateway_floor --help`.

A bare asyncio loop in a process of its own. For each query it asks the encoder and then Milvus, and beside that
Elasticsearch, with the very request that the gateway sent it for that query. It looks into no answer but the vector.
With --join it then asks what else the gateway asks Elasticsearch for the query (price and stock of the hits).
Standard output is one JSON document.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import orjson
import uvloop
from pydantic import BaseModel
from pymilvus import AsyncMilvusClient
from search_plane.release.embedding_wire import ACCEPT_FLOAT32, FINGERPRINT_HEADER
from search_plane.release.record import VECTOR_FIELD, ReleaseSnapshot

from benchmarks.encoder_load import Tally
from benchmarks.gateway_recorder import Request


class Plan(BaseModel):
    """What to ask: `texts`, and for each what Elasticsearch is asked; `depth` rows of Milvus."""

    snapshot: ReleaseSnapshot
    texts: list[str]
    requests: list[list[Request]]
    depth: int


class Floor:
    """The bare calls of one query after the other."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession, milvus: Any, join: bool) -> None:
        self._plan, self._session, self._milvus, self._join = plan, session, milvus, join
        encoder = plan.snapshot.encoder
        self._embed_url = f"{plan.snapshot.encoder_url}/embed"
        self._embed_headers = {
            FINGERPRINT_HEADER: plan.snapshot.fingerprint,
            "Content-Type": "application/json",
            "Accept": ACCEPT_FLOAT32,
        }
        besides = {"prompt_name": "query", "normalize": encoder.normalize, "truncate": True}
        self._bodies = [orjson.dumps({"inputs": text, **besides}) for text in plan.texts]
        parts = urlsplit(plan.snapshot.catalogue.url)
        self._catalogue = f"{parts.scheme}://{parts.netloc}"
        self._next = 0

    async def run(self, concurrency: int, seconds: float) -> tuple[Tally, float]:
        """So many askers for so long."""
        tally, began = Tally(), time.perf_counter()
        until = began + seconds

        async def ask() -> None:
            while (started := time.perf_counter()) < until:
                self._next = (self._next + 1) % len(self._bodies)
                await self._one(self._next)
                tally.add(200, time.perf_counter() - started)

        await asyncio.gather(*(ask() for _ in range(concurrency)))
        return tally, time.perf_counter() - began

    async def _one(self, number: int) -> None:
        first, *rest = sorted(self._plan.requests[number], key=lambda request: not request.searches)
        await asyncio.gather(self._meaning(self._bodies[number]), self._asked(first))
        if self._join:
            await asyncio.gather(*(self._asked(request) for request in rest))

    async def _meaning(self, body: bytes) -> None:
        async with self._session.post(self._embed_url, data=body, headers=self._embed_headers) as response:
            content = await response.read()
            if response.status != 200:
                raise RuntimeError(f"the encoder answered {response.status}")
        target = self._plan.snapshot.milvus
        await self._milvus.search(
            target.collection,
            data=[np.frombuffer(content, "<f4")],
            anns_field=VECTOR_FIELD,
            search_params={"metric_type": target.metric, "params": {"ef": max(target.ef, self._plan.depth)}},
            limit=self._plan.depth,
            consistency_level="Bounded",
        )

    async def _asked(self, request: Request) -> None:
        headers = {"Content-Type": request.content_type, "Accept": request.content_type}
        async with self._session.post(
            self._catalogue + request.path, data=request.body, headers=headers
        ) as response:
            await response.read()
            if response.status != 200:
                raise RuntimeError(f"Elasticsearch answered {response.status}")


async def _main(chosen: argparse.Namespace) -> None:
    plan = Plan.model_validate_json(chosen.plan.read_bytes())
    milvus = AsyncMilvusClient(uri=plan.snapshot.milvus.uri)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            floor = Floor(plan, session, milvus, chosen.join)
            # Opens connections.
            await floor.run(chosen.concurrency, min(1.0, chosen.seconds))
            tally, elapsed = await floor.run(chosen.concurrency, chosen.seconds)
    finally:
        await milvus.close()
    sys.stdout.write(tally.told(elapsed).model_dump_json() + "\n")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", type=Path, required=True, help="file that benchmarks.gateway writes")
    parser.add_argument("--concurrency", type=int, default=1, help="queries under way (default: 1)")
    parser.add_argument("--seconds", type=float, default=8.0, help="(default: 8)")
    parser.add_argument("--join", action="store_true", help="ask for price and stock too")
    uvloop.run(_main(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
