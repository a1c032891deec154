"""The asyncio shell around the planning: whenever a lane of the runtime is free it takes what is waiting."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from search_plane.encoder.metrics import Metrics
from search_plane.encoder.planning import WINDOW_BATCHES, BatchLimits, plan_batch
from search_plane.encoder.pooling import FloatArray, normalised, sound_rows
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds

# While queries come, a batch of documents is so much smaller: the next query waits for it.
BESIDE_QUERIES = 4
QUERIES_FOLLOW_SECONDS = 1.0


class Overloaded(Exception):
    """More waits than can be computed in time; `retry_after` guesses, in seconds, when another try is worth it."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Expired(Overloaded):
    """The caller's time was over before the computation began."""


class InferenceFailed(Exception):
    """The runtime failed, or gave a vector that is not finite or has no direction."""


class Priority(Enum):
    """Who goes first. The value is the seconds for which others may overtake since the last batch of that kind.

    So queries go before documents, yet each second one batch of documents is computed. PROBE: the encoder's own.
    """

    PROBE = float("-inf")
    QUERY = 0.0
    DOCUMENT = 1.0


class Job:
    """The texts of one request; `vectors` resolves to float32 [texts, dimension].

    `until` is the time.perf_counter() at which its caller goes away.
    """

    def __init__(
        self,
        texts: Sequence[TokenIds],
        normalise: bool,
        until: float,
        vectors: "asyncio.Future[FloatArray]",
    ) -> None:
        self.texts = texts
        self.normalise = normalise
        self.until = until
        # The time.perf_counter() at which the first of its texts began to be computed.
        self.begun: float | None = None
        self.vectors = vectors
        self.rows: list[FloatArray | None] = [None] * len(texts)
        self.missing = len(texts)

    def cancel(self) -> None:
        """Nobody waits any more: what has not been computed yet never will be."""
        self.vectors.cancel()


@dataclass(slots=True)
class _Waiting:
    job: Job
    index: int
    since: float
    priority: Priority

    @property
    def tokens(self) -> int:
        return len(self.job.texts[self.index])


@dataclass(frozen=True, slots=True)
class _Computed:
    raw: FloatArray
    unit: FloatArray
    sound: NDArray[np.bool_]


class Batcher:
    """Continuous batching of many requests' texts. All methods belong to the event loop's thread."""

    def __init__(
        self, runtime: Runtime, limits: BatchLimits, max_queue_tokens: int, metrics: Metrics
    ) -> None:
        self._runtime = runtime
        self._limits = limits
        self._max_queue_tokens = max_queue_tokens
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(runtime.lanes, thread_name_prefix="lane")
        self._free = runtime.lanes
        self._waiting: dict[Priority, deque[_Waiting]] = {priority: deque() for priority in Priority}
        self._queued_tokens = dict.fromkeys(Priority, 0)
        self._begun = dict.fromkeys(Priority, float("-inf"))
        self._woken = False
        # Tokens per second, smoothed, of all lanes together: for Retry-After and for what can't be in time.
        self._speed = 5000.0

    def submit(
        self,
        texts: Sequence[TokenIds],
        *,
        normalise: bool = True,
        priority: Priority = Priority.QUERY,
        within: float = float("inf"),
    ) -> Job:
        """Queue texts (not empty); probes are never refused. Queries and documents have a budget each.

        `within`: seconds after which nobody waits any more. Raises Overloaded when something of that priority waits
        already and these do not fit besides it, or cannot be begun `within` the time by the speed seen so far.
        """
        tokens = sum(len(ids) for ids in texts)
        if priority is not Priority.PROBE:
            self._admit(priority, tokens, within)
        now = time.perf_counter()
        job = Job(texts, normalise, now + within, self._loop.create_future())
        self._waiting[priority].extend(_Waiting(job, index, now, priority) for index in range(len(texts)))
        self._queued_tokens[priority] += tokens
        self._metrics.inflight_tokens.inc(tokens)
        self._wake()
        return job

    def _admit(self, priority: Priority, tokens: int, within: float) -> None:
        """Raises Overloaded where the texts would only make everybody wait longer."""
        waiting = self._queued_tokens[priority]
        ahead = waiting if priority is Priority.QUERY else sum(self._queued_tokens.values())
        seconds = ahead / self._speed
        retry_after = max(1, round(seconds))
        if waiting and waiting + tokens > self._max_queue_tokens:
            raise Overloaded(f"{waiting} tokens wait, at most {self._max_queue_tokens} may", retry_after)
        if waiting and seconds > within:
            raise Overloaded(
                f"{ahead} tokens wait, which takes {seconds:.3g} s of the {within:.3g} s given", retry_after
            )

    def close(self) -> None:
        """Let go of the threads; what runs ends first."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _wake(self) -> None:
        # Once per turn of the loop, so that requests that arrive together are planned together.
        if not self._woken and self._free:
            self._woken = True
            self._loop.call_soon(self._fill_lanes)

    def _fill_lanes(self) -> None:
        self._woken = False
        while self._free:
            heads = [waiting for priority in Priority if (waiting := self._next(priority))]
            if not heads:
                return
            self._start(min(heads, key=self._rank))

    def _rank(self, waiting: deque[_Waiting]) -> float:
        head = waiting[0]
        return max(head.since, self._begun[head.priority]) + head.priority.value

    def _next(self, priority: Priority) -> deque[_Waiting]:
        """What waits with that priority, after dropping from its head what nobody waits for any more."""
        waiting, now = self._waiting[priority], time.perf_counter()
        while waiting and not self._wanted(waiting[0], now):
            waiting.popleft()
        return waiting

    def _wanted(self, entry: _Waiting, now: float) -> bool:
        """Whether somebody waits for it; what nobody waits for is forgotten."""
        if not entry.job.vectors.done() and now >= entry.job.until:
            entry.job.vectors.set_exception(
                Expired("the time given was over before the computation began", 1)
            )
        if entry.job.vectors.done():
            self._queued_tokens[entry.priority] -= entry.tokens
            self._metrics.inflight_tokens.dec(entry.tokens)
            self._metrics.dropped.inc()
            return False
        return True

    def _take(self, waiting: deque[_Waiting], now: float) -> list[_Waiting]:
        """Remove the next batch from a queue, its first text included."""
        limits, priority = self._limits, waiting[0].priority
        if priority is Priority.DOCUMENT and now - self._begun[Priority.QUERY] < QUERIES_FOLLOW_SECONDS:
            limits = limits.smaller(BESIDE_QUERIES)
        self._begun[priority] = now
        head: list[_Waiting] = []
        while waiting and len(head) < WINDOW_BATCHES * limits.max_texts:
            entry = waiting.popleft()
            if self._wanted(entry, now):
                head.append(entry)
        chosen = plan_batch([entry.tokens for entry in head], limits)
        taken = set(chosen)
        waiting.extendleft(head[index] for index in reversed(range(len(head))) if index not in taken)
        return [head[index] for index in chosen]

    def _start(self, waiting: deque[_Waiting]) -> None:
        now = time.perf_counter()
        batch = self._take(waiting, now)
        texts = [entry.job.texts[entry.index] for entry in batch]
        tokens, padded = sum(map(len, texts)), len(texts) * max(map(len, texts))
        for entry in batch:
            entry.job.begun = entry.job.begun or now
        self._free -= 1
        self._queued_tokens[batch[0].priority] -= tokens
        self._metrics.batch_size.observe(len(batch))
        self._metrics.batch_tokens.observe(padded)
        self._metrics.padding.inc(padded - tokens)
        self._metrics.queue_seconds.observe(now - min(entry.since for entry in batch))
        running = self._loop.run_in_executor(self._threads, self._compute, texts)
        running.add_done_callback(lambda done: self._finish(batch, now, done))

    def _compute(self, texts: Sequence[TokenIds]) -> _Computed:
        """In a lane's thread: all that need not be done on the event loop."""
        raw = self._runtime.run(texts)
        unit = normalised(raw)
        return _Computed(raw, unit, sound_rows(unit))

    def _finish(self, batch: list[_Waiting], started: float, done: "asyncio.Future[_Computed]") -> None:
        tokens = sum(entry.tokens for entry in batch)
        seconds = time.perf_counter() - started
        self._free += 1
        self._metrics.inflight_tokens.dec(tokens)
        self._metrics.tokens.inc(tokens)
        self._metrics.run_seconds.observe(seconds)
        self._speed += 0.1 * (tokens / max(seconds, 1e-6) * self._runtime.lanes - self._speed)
        # The lane gets its next batch before the answers of this one are written.
        self._fill_lanes()
        if done.cancelled():
            error: BaseException | None = InferenceFailed("the encoder is stopping")
        else:
            error = done.exception()
        if error is not None:
            for entry in batch:
                _fail(entry.job, f"the runtime failed: {error}")
            return
        computed = done.result()
        for row, entry in enumerate(batch):
            if not computed.sound[row]:
                _fail(entry.job, "the model gave a vector that is not finite or has no direction")
            else:
                _deliver(entry, (computed.unit if entry.job.normalise else computed.raw)[row])


def _fail(job: Job, reason: str) -> None:
    if not job.vectors.done():
        job.vectors.set_exception(InferenceFailed(reason))


def _deliver(entry: _Waiting, vector: FloatArray) -> None:
    job = entry.job
    if job.vectors.done():
        return
    job.rows[entry.index] = vector
    job.missing -= 1
    if not job.missing:
        job.vectors.set_result(np.stack([row for row in job.rows if row is not None]))
