"""The asyncio shell around the planning: whenever a lane of the runtime is free it takes what is waiting."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from search_plane.encoder.metrics import BatchMetrics
from search_plane.encoder.planning import WINDOW_BATCHES, BatchLimits, plan_batch
from search_plane.encoder.pooling import FloatArray, normalised, sound_rows
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds

# While queries come, a batch of anything else is so much smaller: the next query waits for it.
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
    RERANK = 0.25
    DOCUMENT = 1.0


@dataclass
class Served:
    """A model behind the lanes, what may wait for it, and its speed: tokens a second of all lanes, smoothed."""

    runtime: Runtime
    limits: BatchLimits
    max_queue_tokens: int
    metrics: BatchMetrics
    speed: float = 5000.0


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

    def __init__(self, encoder: Served, reranker: Served | None = None) -> None:
        self._models = dict.fromkeys(Priority, encoder) | ({Priority.RERANK: reranker} if reranker else {})
        self._encoder = encoder
        self._loop = asyncio.get_running_loop()
        self._lanes = encoder.runtime.lanes
        self._threads = ThreadPoolExecutor(self._lanes, thread_name_prefix="lane")
        self._free = self._lanes
        self._waiting: dict[Priority, deque[_Waiting]] = {priority: deque() for priority in Priority}
        self._queued_tokens = dict.fromkeys(Priority, 0)
        self._running_tokens = dict.fromkeys(Priority, 0)
        self._begun = dict.fromkeys(Priority, float("-inf"))
        self._woken = False

    def submit(
        self,
        texts: Sequence[TokenIds],
        *,
        normalise: bool = True,
        priority: Priority = Priority.QUERY,
        within: float = float("inf"),
        refusable: bool = True,
    ) -> Job:
        """Queue texts (not empty); what is not `refusable` and probes never are. Each other kind has a budget.

        `within`: seconds after which nobody waits any more. Raises Overloaded when something of that priority waits
        already and these do not fit besides it, or cannot be done `within` the time by the speed seen so far; and for
        what is to be re-ranked while more queries wait than the next batches take.
        """
        tokens = sum(len(ids) for ids in texts)
        if refusable:
            self.check_room(priority, tokens, within)
        now = time.perf_counter()
        job = Job(texts, normalise, now + within, self._loop.create_future())
        self._waiting[priority].extend(_Waiting(job, index, now, priority) for index in range(len(texts)))
        self._queued_tokens[priority] += tokens
        self._models[priority].metrics.inflight_tokens.inc(tokens)
        self._wake()
        return job

    async def answered(
        self, job: Job, on_disconnect: "Callable[[Job], Awaitable[None]] | None" = None
    ) -> FloatArray:
        """The job's vectors; what has not been computed when this ends, however it ends, never will be.

        `on_disconnect` is awaited beside the computation with the job, which it may cancel.
        """
        watching = asyncio.ensure_future(on_disconnect(job)) if on_disconnect else None
        try:
            return await job.vectors
        finally:
            job.cancel()
            if watching is not None:
                watching.cancel()

    def check_room(self, priority: Priority, tokens: int, within: float) -> None:
        """Raises Overloaded where so many more tokens would only make everybody wait longer; see `submit`."""
        queries = self._queued_tokens[Priority.QUERY]
        if priority is Priority.RERANK and queries > self._encoder.limits.max_tokens * self._lanes:
            raise Overloaded(f"{queries} tokens of queries wait; nothing is re-ranked meanwhile", 1)
        waiting = self._queued_tokens[priority]
        if not waiting or priority is Priority.PROBE:
            return
        seconds = self._seconds_until_done(priority, tokens)
        most = self._models[priority].max_queue_tokens
        if waiting + tokens > most:
            raise Overloaded(f"{waiting} tokens wait, at most {most} may", max(1, round(seconds)))
        if seconds > within:
            raise Overloaded(
                f"{waiting} tokens wait, so that it would take {seconds:.3g} s of the {within:.3g} s given",
                max(1, round(seconds)),
            )

    def _seconds_until_done(self, priority: Priority, tokens: int) -> float:
        seconds, before = tokens / self._models[priority].speed, True
        for other in Priority:
            ahead = self._running_tokens[other] + (self._queued_tokens[other] if before else 0)
            seconds += ahead / self._models[other].speed
            before = before and other is not priority
        return seconds

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
            metrics = self._models[entry.priority].metrics
            self._queued_tokens[entry.priority] -= entry.tokens
            metrics.inflight_tokens.dec(entry.tokens)
            metrics.dropped.inc()
            return False
        return True

    def _take(self, waiting: deque[_Waiting], now: float) -> list[_Waiting]:
        """Remove the next batch from a queue, its first text included."""
        priority = waiting[0].priority
        limits = self._models[priority].limits
        gives_way = priority in (Priority.RERANK, Priority.DOCUMENT)
        if gives_way and now - self._begun[Priority.QUERY] < QUERIES_FOLLOW_SECONDS:
            limits = limits.smaller(BESIDE_QUERIES)
        elif priority is Priority.PROBE:
            # With int8 a vector depends on the texts beside it, and probes were recorded alone.
            limits = replace(limits, max_texts=1)
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
        priority = batch[0].priority
        texts = [entry.job.texts[entry.index] for entry in batch]
        tokens, padded = sum(map(len, texts)), len(texts) * max(map(len, texts))
        for entry in batch:
            entry.job.begun = entry.job.begun or now
        self._free -= 1
        self._queued_tokens[priority] -= tokens
        self._running_tokens[priority] += tokens
        metrics = self._models[priority].metrics
        metrics.batch_size.observe(len(batch))
        metrics.batch_tokens.observe(padded)
        metrics.padding.inc(padded - tokens)
        metrics.queue_seconds.observe(now - min(entry.since for entry in batch))
        running = self._loop.run_in_executor(self._threads, self._compute, texts, priority)
        running.add_done_callback(lambda done: self._finish(batch, now, done))

    def _compute(self, texts: Sequence[TokenIds], priority: Priority) -> _Computed:
        """In a lane's thread: all that need not be done on the event loop."""
        raw = self._models[priority].runtime.run(texts)
        if priority is Priority.RERANK:
            # A score has no direction; 0 is as good as any.
            return _Computed(raw, raw, sound_rows(raw))
        unit = normalised(raw)
        return _Computed(raw, unit, sound_rows(unit))

    def _finish(self, batch: list[_Waiting], started: float, done: "asyncio.Future[_Computed]") -> None:
        priority, model = batch[0].priority, self._models[batch[0].priority]
        tokens = sum(entry.tokens for entry in batch)
        seconds = time.perf_counter() - started
        self._free += 1
        self._running_tokens[priority] -= tokens
        model.metrics.inflight_tokens.dec(tokens)
        model.metrics.tokens.inc(tokens)
        model.metrics.run_seconds.observe(seconds)
        model.speed += 0.1 * (tokens / max(seconds, 1e-6) * self._lanes - model.speed)
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
                _fail(entry.job, "the model gave numbers that are not finite or have no direction")
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
