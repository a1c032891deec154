"""What was shown and what was clicked, for experiments and for listening: logged beside the queries, never before them."""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel, ConfigDict, Field

from search_plane.gateway.experiment import Assignment
from search_plane.gateway.scrubbing import scrubbed
from search_plane.release.policy import Mode

log = logging.getLogger(__name__)

BUCKETS: Final = 4_096
Event = Mapping[str, Any]
"""One line of the log; the fields of an exposure and of a click are told in docs/experiments.md."""

# Events that wait to be written; a queue of this size is at most some ten MB.
CAPACITY: Final = 10_000
BATCH: Final = 500
# An event waits no longer than this for others to be written with it.
LINGER_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 3.0


class Click(BaseModel):
    """A hit that was opened. `search_id` is the answer's X-Request-Id, `rank` the hit's own (1 for the first)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    search_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="X-Request-Id of the answer.")
    id: str = Field(min_length=1, max_length=512, description="The hit's id.")
    rank: int = Field(ge=1, le=10_000, description="The hit's rank, as the answer told it.")


class ShownHit(Protocol):
    """What is logged of a hit."""

    @property
    def id(self) -> str: ...
    @property
    def score(self) -> float: ...


class ShownTimings(Protocol):
    """What is logged of the timings."""

    @property
    def total(self) -> float: ...


class Shown(Protocol):
    """What is logged of an answer (see answer.Answer)."""

    @property
    def query(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def degraded(self) -> Sequence[str]: ...
    @property
    def hits(self) -> Sequence[ShownHit]: ...
    @property
    def timings_ms(self) -> ShownTimings: ...


class Sink(Protocol):
    """Where events go. Only one `write` is under way at a time."""

    async def write(self, events: Sequence[Event]) -> int:
        """Takes the events, or raises; returns how many it had to refuse for good."""

    async def close(self) -> None:
        """Lets go of what it holds."""


class SearchLogMetrics:
    """What became of the events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.written = Counter("gateway_search_log_events", "Events written.", registry=registry)
        self.dropped = Counter(
            "gateway_search_log_dropped",
            "Events lost: the queue was full (full), the destination refused them (refused), "
            "or they were still waiting when the gateway ended (ended).",
            ["reason"],
            registry=registry,
        )
        self.waiting = Gauge("gateway_search_log_waiting", "Events in the queue.", registry=registry)
        self.failures = Counter(
            "gateway_search_log_failures", "Attempts to write that failed; tried again.", registry=registry
        )


class SearchLog:
    """Takes events without waiting and writes them in the background; what finds no room is dropped and counted.

    May be made outside the loop; nothing is written until `run` runs. Without a sink it takes nothing.
    """

    def __init__(
        self,
        sink: Sink | None,
        salt: str = "",
        metrics: SearchLogMetrics | None = None,
        capacity: int = CAPACITY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Without a salt one is drawn: buckets then differ from gateway to gateway, and after a restart."""
        self._sink = sink
        self._salt = salt.encode() or secrets.token_bytes(16)
        self._metrics = metrics or SearchLogMetrics(CollectorRegistry())
        self._capacity = capacity
        self._now = now
        self._queue: deque[Event] = deque()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._under_way: Sequence[Event] = ()

    @property
    def takes(self) -> bool:
        """Whether events are kept at all."""
        return self._sink is not None

    @property
    def waiting(self) -> int:
        """Events that are taken and not written yet."""
        return len(self._queue) + len(self._under_way)

    def exposure(
        self,
        answer: Shown,
        key: str | None,
        *,
        search_id: str,
        mode: Mode | None = None,
        assignment: Assignment | None = None,
        offset: int = 0,
        filtered: bool = False,
        reranked: bool = False,
        cohort: bool | None = None,
        policy: str = "",
    ) -> None:
        """One answer was given. `key` is the user's or the session's; only its bucket is kept.

        `mode` is what was searched by, `assignment` the experiment's arm where that decided it (None: the caller did, or
        there is no key), `cohort` whether the user is in the re-ranker's cohort (None where there is no re-ranker or no
        key), `policy` the policy's revision.
        """
        if self._sink is None:
            return
        if assignment is not None and mode is not None and mode != assignment.arm:
            # What the arm did not decide would count against it.
            assignment = None
        scores = [hit.score for hit in answer.hits[:2]]
        event = self._event("exposure", search_id) | {
            "query": scrubbed(answer.query),
            "bucket": bucket(key, self._salt) if key else None,
            "experiment": assignment.experiment if assignment else None,
            "arm": assignment.arm if assignment else None,
            "share": assignment.share if assignment else None,
            "mode": mode,
            "path": answer.path,
            "degraded": list(answer.degraded),
            "reranked": reranked,
            "cohort": cohort,
            "filtered": filtered,
            "offset": offset,
            "hits": [hit.id for hit in answer.hits],
            "top_score": scores[0] if scores else None,
            "margin": scores[0] - scores[1] if len(scores) == 2 else None,
            "release": answer.release,
            "policy": policy,
            "ms": round(answer.timings_ms.total, 1),
        }
        self._put(event)

    def click(self, click: Click) -> None:
        """A hit of an answer was opened; whose it was is known by the answer's own line."""
        if self._sink is not None:
            self._put(self._event("click", click.search_id) | {"id": click.id, "rank": click.rank})

    async def run(self) -> None:
        """Writes until it is cancelled. A batch that fails is tried again, ever more seldom."""
        if self._sink is None:
            return
        pause = LINGER_SECONDS
        while True:
            if not self._under_way:
                await self._some.wait()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        await self._full.wait()
            if await self._write():
                pause = LINGER_SECONDS
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)

    async def close(self) -> None:
        """Writes what waits, for three seconds at most; the rest is counted as dropped. `run` must have ended."""
        if self._sink is None:
            return
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    while self.waiting and await self._write():
                        pass
        finally:
            if lost := self.waiting:
                self._metrics.dropped.labels("ended").inc(lost)
                log.warning("%d events of the search log were lost at the end", lost)
            await self._sink.close()

    def _event(self, kind: Literal["exposure", "click"], search_id: str) -> dict[str, Any]:
        # `@timestamp` is the one field that a data stream demands.
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"@timestamp": time, "event": kind, "event_id": uuid4().hex, "search_id": search_id}

    def _put(self, event: Event) -> None:
        if len(self._queue) >= self._capacity:
            # The newest is lost, so that what is written has no holes before it.
            self._metrics.dropped.labels("full").inc()
            return
        self._queue.append(event)
        self._some.set()
        if len(self._queue) >= BATCH:
            self._full.set()
        self._metrics.waiting.set(len(self._queue))

    async def _write(self) -> bool:
        """Writes the batch that failed last, else the next one; whether that went well."""
        assert self._sink is not None
        if not self._under_way:
            count = min(BATCH, len(self._queue))
            self._under_way = [self._queue.popleft() for _ in range(count)]
            if not self._queue:
                self._some.clear()
            if len(self._queue) < BATCH:
                self._full.clear()
            self._metrics.waiting.set(len(self._queue))
        try:
            refused = await self._sink.write(self._under_way)
        except Exception as error:
            # Whatever a destination does, queries go on and the next attempt comes.
            self._metrics.failures.inc()
            log.warning("the search log can't be written: %s", type(error).__name__)
            return False
        self._metrics.written.inc(len(self._under_way) - refused)
        if refused:
            self._metrics.dropped.labels("refused").inc(refused)
        self._under_way = ()
        return True


def bucket(key: str, salt: bytes) -> int:
    """0..4095. Many users share one, so that it points at nobody; without the salt nobody can even tell which."""
    digest = hmac.new(salt, key.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return int.from_bytes(digest[:8]) % BUCKETS
