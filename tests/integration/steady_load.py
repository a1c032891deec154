"""A steady load of searches on a gateway, and what each answer was worth by brute force."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import aiohttp
import numpy as np

from tests.integration.gateway_bed import QUERIES, SCORE_TOLERANCE, Release
from tests.testbed.plane import wait_until

K = 10
RATE = 10.0
"""Searches per second; the machine's two cores carry Milvus, both encoders and the gateway too."""

Verdict = Literal["whole", "marked", "words", "failed", "short", "wrong", "mixed"]


@dataclass(frozen=True)
class Reply:
    """One search of the load: when it was sent (seconds since the load began), how long it took, what came."""

    at: float
    seconds: float
    query: str
    status: int
    body: Mapping[str, Any]


class SteadyLoad:
    """RATE searches a second from a thread, sent at their time whether or not earlier ones have been answered.

    >>> with SteadyLoad(gateway.url) as load:
    ...     load.await_replies(40)
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: list[Reply] = []
        self._began = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._began

    def await_replies(self, count: int, seconds: float = 120) -> None:
        """Waits for so many more replies."""
        goal = len(self.replies) + count
        wait_until(f"{count} more replies", lambda: len(self.replies) >= goal, seconds)

    def sent_since(self, moment: float) -> list[Reply]:
        """The replies so far to what was sent since then."""
        return [reply for reply in list(self.replies) if reply.at >= moment]

    def await_sent_since(self, moment: float, count: int, seconds: float = 120) -> list[Reply]:
        """Waits for so many replies to what was sent since then; all of those."""
        what = f"{count} replies to what was sent since {moment:.1f} s"
        wait_until(what, lambda: len(self.sent_since(moment)) >= count, seconds)
        return self.sent_since(moment)

    async def _run(self) -> None:
        """Sends until told to stop, then waits for what is under way."""
        timeout = aiohttp.ClientTimeout(total=30)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as searches,
        ):
            sent = 0
            while not self._stop.is_set():
                searches.create_task(self._search(session, QUERIES[sent % len(QUERIES)]))
                sent += 1
                await asyncio.sleep(max(0.0, sent / RATE - self.now))

    async def _search(self, session: aiohttp.ClientSession, query: str) -> None:
        at = self.now
        try:
            asked = {"q": query, "k": str(K), "mode": "semantic", "understand": "false"}
            async with session.get(f"{self.url}/search", params=asked) as response:
                status, body = response.status, await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            status, body = 0, {"error": f"{type(error).__name__}: {error}"}
        self.replies.append(Reply(at, self.now - at, query, status, body))

    def __enter__(self) -> SteadyLoad:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)


class Judge:
    """Tells what a reply was worth, against brute force over the vectors of the release that it names."""

    def __init__(self, *releases: Release) -> None:
        self._releases = {release.snapshot.release: release for release in releases}
        self._cosines = {
            (name, query): release.vectors @ vector
            for name, release in self._releases.items()
            for query, vector in release.queries.items()
        }
        self._rows = {
            name: {identifier: row for row, identifier in enumerate(release.ids)}
            for name, release in self._releases.items()
        }

    def verdict(self, reply: Reply) -> Verdict:
        """Whole: the K nearest. Marked: the answer itself says that something may be missing; words: it says that it is
        of the query's words only.

        Of answers that do not: `mixed` ones are not wholly of one release, `short` ones have fewer than K hits, `wrong`
        ones others than the K nearest. Milvus' graph is exact here: ef 128 over some 1,500 rows a shard.
        """
        if reply.status != 200:
            return "failed"
        body, name = reply.body, reply.body["release"]
        release = self._releases.get(name)
        if release is None or body["fingerprint"] != release.snapshot.fingerprint:
            return "mixed"
        if body["path"] == "keyword":
            return "words" if "semantic" in body["degraded"] else "mixed"
        cosines, rows = self._cosines[name, reply.query], self._rows[name]
        true_scores = [float(cosines[rows[hit["id"]]]) for hit in body["hits"]]
        told_scores = [hit["score"] for hit in body["hits"]]
        pairs = zip(true_scores, told_scores, strict=True)
        if any(abs(true - told) > SCORE_TOLERANCE for true, told in pairs):
            return "mixed"
        if body["degraded"]:
            return "marked"
        if len(true_scores) < K:
            return "short"
        # By score and not by id: of equal ones any may come.
        last = float(np.partition(cosines, -K)[-K])
        return "whole" if min(true_scores) >= last - SCORE_TOLERANCE else "wrong"

    def count(self, replies: Iterable[Reply]) -> Counter[Verdict]:
        """How many replies came to each verdict."""
        return Counter(self.verdict(reply) for reply in replies)

    def tell(self, replies: Iterable[Reply], *good: Verdict) -> str:
        """The first 20 replies of other verdicts, a line each, for a test's message."""
        judged = [(self.verdict(reply), reply) for reply in replies]
        return "\n".join(
            f"{reply.at:.2f} s +{reply.seconds:.2f} {verdict} {reply.query}"
            f" {dict(reply.body, hits=len(reply.body.get('hits', ())))}"
            for verdict, reply in [one for one in judged if one[0] not in good][:20]
        )
