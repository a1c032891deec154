"""A keyed work queue: one worker a key, no duplicates, back-off with jitter, and requeue-after."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0


@dataclass
class WorkQueue(Generic[K]):
    """`handle(key)` returns the seconds after which the key is due again (None: when somebody asks).

    A key added while it is being handled is handled once more afterwards; adding a waiting key is free.
    An exception from `handle` is given to `on_error` and the key comes back with exponential back-off.
    """

    handle: Callable[[K], Awaitable[float | None]]
    on_error: Callable[[K, Exception], None]
    _ready: asyncio.Queue[K] = field(default_factory=asyncio.Queue)
    _waiting: dict[K, float] = field(default_factory=dict)
    _busy: dict[K, float] = field(default_factory=dict)
    _again: set[K] = field(default_factory=set)
    _failures: dict[K, int] = field(default_factory=dict)
    _timers: dict[K, asyncio.TimerHandle] = field(default_factory=dict)
    _workers: int = 0
    _staffed_since: float = 0.0

    def add(self, key: K) -> None:
        """Make a key due now."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Make a key due later; an earlier appointment or an add() wins."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self.add, key)

    def forget(self, key: K) -> None:
        """Drop a key's appointments and failures: its object is gone."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._failures.pop(key, None)
        self._again.discard(key)

    async def work(self) -> None:
        """One worker; run as many as should work at once. Ends only by cancellation."""
        if not self._workers:
            self._staffed_since = time.monotonic()
        self._workers += 1
        try:
            await self._work()
        finally:
            self._workers -= 1

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.pop(key, None)
            self._busy[key] = time.monotonic()
            try:
                due = await self.handle(key)
            except Exception as error:
                self.on_error(key, error)
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                due = backoff_seconds(failures)
            else:
                self._failures.pop(key, None)
            finally:
                self._busy.pop(key, None)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif due is not None:
                self.add_after(key, due)

    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._waiting)

    def oldest_wait_seconds(self) -> float:
        """How long the longest-waiting or longest-handled key has been at it; 0 when idle or without a worker.

        While nobody works (another replica leads) keys pile up; their wait counts from when work began.
        """
        since = [*self._waiting.values(), *self._busy.values()]
        if not since or not self._workers:
            return 0.0
        return time.monotonic() - max(min(since), self._staffed_since)


def backoff_seconds(failures: int) -> float:
    """Exponential back-off with full jitter in its upper half: 0.25-0.5 s, then doubling up to 7.5-15 s."""
    ceiling = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_BACKOFF_SECONDS)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
