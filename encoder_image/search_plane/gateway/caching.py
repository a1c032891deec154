"""What one release's queries came to, kept for a while: bounded, and asked for once by equal queries in flight."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, Protocol, TypeVar

from cachetools import TTLCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """The last values by key: at most so many entries, so many bytes, and none older than `seconds`.

    A value that alone is larger than `most_bytes` is not kept. With `most_entries` or `seconds` 0 nothing is.
    """

    def __init__(
        self,
        most_entries: int,
        most_bytes: int,
        seconds: float,
        size_of: Callable[[V], int],
        clock: Callable[[], float],
    ) -> None:
        """`clock`: seconds that never go back."""
        # The size that cachetools counts is the bytes; a floor under each entry bounds their number too.
        self._least = max(1, most_bytes // most_entries) if most_entries else 1
        self._size_of = size_of
        self._most = most_bytes if most_entries and seconds else 0
        self._kept: TTLCache[K, V] = TTLCache(self._most, seconds, clock, self._size)

    def _size(self, value: V) -> int:
        return max(self._least, self._size_of(value))

    def get(self, key: K) -> V | None:
        """The value, or None when there is none any more."""
        return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Keeps the value, and lets the least recently used go where there is no room."""
        if self._size(value) <= self._most:
            self._kept[key] = value

    def __len__(self) -> int:
        return len(self._kept)


class _Flight(Generic[V]):
    __slots__ = ("task", "waiting")

    def __init__(self, task: "asyncio.Task[V]") -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[K, V]):
    """Equal work under way at a time is done once, and all who asked for it get its value or its exception.

    Who stops waiting leaves the others their work; it is cancelled when nobody waits any more.
    """

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The value of `work()`, or of equal work that is under way."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(work()))
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._forget(key, flight.task)
                flight.task.cancel()

    def _landed(self, key: K, task: "asyncio.Task[V]") -> None:
        self._forget(key, task)
        if not task.cancelled():
            # Looked at here, as all who asked may have left: asyncio complains of what nobody asked for.
            task.exception()

    def _forget(self, key: K, task: "asyncio.Task[V]") -> None:
        known = self._flights.get(key)
        if known is not None and known.task is task:
            del self._flights[key]

    def __len__(self) -> int:
        return len(self._flights)


class Counts(Protocol):
    """Where it is told how a cache was used."""

    def cached(self, cache: str, hit: bool) -> None:
        """One look into the cache of that name."""


class Remembered(Generic[K, V]):
    """A bounded cache before a single flight: `get` looks, joins, or does the work."""

    def __init__(self, name: str, cache: Bounded[K, V], counts: Counts) -> None:
        self._name = name
        self._cache = cache
        self._flights: SingleFlight[K, V] = SingleFlight()
        self._counts = counts

    async def get(
        self,
        key: K,
        work: Callable[[], Coroutine[Any, Any, V]],
        worth_keeping: Callable[[V], bool] = lambda _: True,
    ) -> tuple[V, bool]:
        """The value, and whether it was kept from before. What is not `worth_keeping` is given and forgotten."""
        kept = self._cache.get(key)
        self._counts.cached(self._name, kept is not None)
        if kept is not None:
            return kept, True

        async def work_and_keep() -> V:
            value = await work()
            if worth_keeping(value):
                self._cache.put(key, value)
            return value

        return await self._flights.run(key, work_and_keep), False
