"""A load of deep searches straight through VectorSearch, watched as a gateway's: pools that fusion asks for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Literal

from search_plane.gateway.faults import Unavailable
from search_plane.gateway.settings import Settings
from search_plane.gateway.vectors import Extra, VectorSearch
from search_plane.gateway.watch import CollectionWatch, Expected

from tests.integration.gateway_bed import QUERIES, SCORE_TOLERANCE, Release
from tests.testbed.plane import wait_until

LIMIT = 105
RATE = 4.0
# A graph of this size at ef 128 finds all but a few of so many; a replica that lacks a segment lacks a quarter or more.
LEAST_RECALL = 0.9

PoolVerdict = Literal["whole", "marked", "failed", "short", "wrong"]


class PoolLoad:
    """RATE searches a second for LIMIT rows, from a thread, with the gateway's own deadline, hedge and watch.

    `verdicts` by brute force: `short` and `wrong` are answers that do not say that rows may be missing.
    """

    def __init__(self, release: Release) -> None:
        self.verdicts: Counter[PoolVerdict] = Counter()
        self.extras: Counter[Extra] = Counter()
        self._release = release
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="pools", daemon=True)

    def await_verdicts(self, count: int, seconds: float = 60) -> None:
        """Waits for so many in all."""
        wait_until(f"{count} pools", lambda: self.verdicts.total() >= count, seconds)

    async def _run(self) -> None:
        snapshot, settings = self._release.snapshot, Settings()
        seconds = settings.milvus_timeout_ms / 1000
        search = VectorSearch(
            snapshot.milvus,
            seconds,
            settings.milvus_hedge_ms / 1000,
            on_extra=lambda kind: self.extras.update([kind]),
        )
        expected = Expected(snapshot.fingerprint, snapshot.encoder.dimension)
        watch = CollectionWatch(search.collection, search.wholeness, expected, seconds)
        await watch.learn()
        watching = asyncio.create_task(watch.run(settings.probe_seconds))
        began = time.monotonic()
        sent = 0
        async with asyncio.TaskGroup() as searches:
            while not self._stop.is_set():
                searches.create_task(self._search(search, QUERIES[sent % len(QUERIES)], seconds))
                sent += 1
                await asyncio.sleep(max(0.0, sent / RATE - (time.monotonic() - began)))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await search.close()

    async def _search(self, search: VectorSearch, query: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        try:
            nearest = await search.nearest(self._release.queries[query], LIMIT, until)
        except Unavailable:
            self.verdicts["failed"] += 1
            return
        self.verdicts[self._verdict(query, [one.score for one in nearest.neighbours], nearest.whole)] += 1

    def _verdict(self, query: str, scores: list[float], whole: bool) -> PoolVerdict:
        if not whole:
            return "marked"
        if len(scores) < LIMIT:
            return "short"
        last = self._release.nearest(query, LIMIT)[-1][1] - SCORE_TOLERANCE
        return "whole" if sum(score >= last for score in scores) >= LEAST_RECALL * LIMIT else "wrong"

    def __enter__(self) -> PoolLoad:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
