"""The asyncio shell around the planning: whenever a lane of the runtime is free it takes what is waiting."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_plane.encoder.metrics import Metrics
from search_plane.encoder.planning import WINDOW_BATCHES, BatchLimits, plan_batch
from search_plane.encoder.pooling import FloatArray, normalised, sound_rows
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds


class Overloaded(Exception):
    """More tokens wait than may; `retry_after` guesses, in whole seconds, when another try is worth it."""

    def __init__(self, waiting: int, limit: int, retry_after: int) -> None:
        super().__init__(f"{waiting} tokens wait, at most {limit} may")
        self.retry_after = retry_after


class InferenceFailed(Exception):
    """The runtime failed, or gave a vector that is not finite or has no direction."""


class Job:
    """The texts of one request; `vectors` resolves to float32 [texts, dimension]."""

    def __init__(
        self, texts: Sequence[TokenIds], normalise: bool, vectors: "asyncio.Future[FloatArray]"
    ) -> None:
        self.texts = texts
        self.normalise = normalise
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
        self._waiting: list[_Waiting] = []
        self._queued_tokens = 0
        self._woken = False
        # Tokens per second, smoothed, of all lanes together; only for Retry-After.
        self._speed = 5000.0

    def submit(self, texts: Sequence[TokenIds], *, normalise: bool = True, urgent: bool = False) -> Job:
        """Queue texts (not empty); `urgent` ones go first and are never refused (the probes).

        Raises Overloaded when something waits already and these do not fit besides it.
        """
        tokens = sum(len(ids) for ids in texts)
        if not urgent and self._queued_tokens and self._queued_tokens + tokens > self._max_queue_tokens:
            seconds = self._queued_tokens / self._speed
            raise Overloaded(self._queued_tokens, self._max_queue_tokens, max(1, round(seconds)))
        job = Job(texts, normalise, self._loop.create_future())
        now = time.perf_counter()
        entries = [_Waiting(job, index, now) for index in range(len(texts))]
        if urgent:
            self._waiting[:0] = entries
        else:
            self._waiting.extend(entries)
        self._queued_tokens += tokens
        self._metrics.inflight_tokens.inc(tokens)
        self._wake()
        return job

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
        while self._free and self._waiting:
            batch = self._take()
            if batch:
                self._start(batch)

    def _take(self) -> list[_Waiting]:
        """Remove the next batch from the queue, dropping what nobody waits for any more."""
        window = WINDOW_BATCHES * self._limits.max_texts
        alive: list[_Waiting] = []
        position = 0
        while position < len(self._waiting) and len(alive) < window:
            entry = self._waiting[position]
            position += 1
            if entry.job.vectors.done():
                self._forget(entry)
            else:
                alive.append(entry)
        chosen = plan_batch([entry.tokens for entry in alive], self._limits)
        taken = set(chosen)
        self._waiting[:position] = [entry for index, entry in enumerate(alive) if index not in taken]
        return [alive[index] for index in chosen]

    def _forget(self, entry: _Waiting) -> None:
        self._queued_tokens -= entry.tokens
        self._metrics.inflight_tokens.dec(entry.tokens)

    def _start(self, batch: list[_Waiting]) -> None:
        now = time.perf_counter()
        texts = [entry.job.texts[entry.index] for entry in batch]
        self._free -= 1
        self._queued_tokens -= sum(len(ids) for ids in texts)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.batch_tokens.observe(len(batch) * max(len(ids) for ids in texts))
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
