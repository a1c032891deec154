"""Bounded caches, and equal work in flight."""

import asyncio
from collections.abc import Callable

import pytest
from search_plane.gateway.caching import Bounded, Remembered, SingleFlight


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Looks:
    def __init__(self) -> None:
        self.told: list[bool] = []

    def cached(self, cache: str, hit: bool) -> None:
        self.told.append(hit)


def bounded(entries: int, bytes_: int, clock: Callable[[], float], seconds: float = 5.0) -> Bounded[int, str]:
    return Bounded(entries, bytes_, seconds, len, clock)


def test_entries_and_bytes_are_bounded_and_the_least_used_goes_first() -> None:
    cache = bounded(3, 1000, Clock())
    for key in range(3):
        cache.put(key, "x")
    assert cache.get(0) == "x"
    cache.put(3, "x")
    assert [cache.get(key) for key in range(4)] == ["x", None, "x", "x"]
    cache.put(4, "x" * 900)
    assert len(cache) == 1
    cache.put(5, "x" * 1001)
    assert (cache.get(5), cache.get(4)) == (None, "x" * 900)


def test_a_value_gets_old() -> None:
    clock = Clock()
    cache = bounded(3, 1000, clock)
    cache.put(1, "x")
    clock.now = 4.9
    assert cache.get(1) == "x"
    clock.now = 5.1
    assert cache.get(1) is None


@pytest.mark.parametrize(("entries", "bytes_", "seconds"), [(0, 1000, 5.0), (3, 0, 5.0), (3, 1000, 0.0)])
def test_with_no_room_nothing_is_kept(entries: int, bytes_: int, seconds: float) -> None:
    cache = bounded(entries, bytes_, Clock(), seconds)
    cache.put(1, "x")
    assert cache.get(1) is None


class Work:
    """Work that waits to be let go, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault is not None:
            raise self.fault
        return "value"


async def _settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)


def test_equal_work_in_flight_is_done_once_and_again_afterwards() -> None:
    async def story() -> None:
        flights: SingleFlight[str, str] = SingleFlight()
        work = Work()
        waiting = [asyncio.ensure_future(flights.run("k", work)) for _ in range(5)]
        other = asyncio.ensure_future(flights.run("other", work))
        await _settled(lambda: work.begun == 2)
        work.may_end.set()
        assert await asyncio.gather(*waiting, other) == ["value"] * 6
        assert (work.begun, len(flights)) == (2, 0)
        assert await flights.run("k", work) == "value"
        assert work.begun == 3

    asyncio.run(story())


def test_who_stops_waiting_leaves_the_others_their_work() -> None:
    async def story() -> None:
        flights: SingleFlight[str, str] = SingleFlight()
        work = Work()
        first, second = (asyncio.ensure_future(flights.run("k", work)) for _ in range(2))
        await _settled(lambda: work.begun == 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert work.cancelled == 0
        work.may_end.set()
        assert await second == "value"

    asyncio.run(story())


def test_work_that_nobody_waits_for_is_cancelled_and_begun_anew_for_the_next() -> None:
    async def story() -> None:
        flights: SingleFlight[str, str] = SingleFlight()
        work = Work()
        alone = asyncio.ensure_future(flights.run("k", work))
        await _settled(lambda: work.begun == 1)
        alone.cancel()
        again = asyncio.ensure_future(flights.run("k", work))
        await _settled(lambda: work.cancelled == 1 and work.begun == 2)
        work.may_end.set()
        assert await again == "value"
        assert len(flights) == 0

    asyncio.run(story())


def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    async def story() -> None:
        looks = Looks()
        kept = Remembered("x", bounded(3, 1000, Clock()), looks)
        work = Work()
        work.fault = ValueError("no")
        work.may_end.set()
        failed = await asyncio.gather(kept.get(1, work), kept.get(1, work), return_exceptions=True)
        assert [type(one) for one in failed] == [ValueError, ValueError]
        work.fault = None
        assert await kept.get(1, work) == ("value", False)
        assert await kept.get(1, work) == ("value", True)
        assert (work.begun, looks.told) == (2, [False, False, False, True])

    asyncio.run(story())


def test_what_is_not_worth_keeping_is_given_and_forgotten() -> None:
    async def story() -> None:
        kept = Remembered("x", bounded(3, 1000, Clock()), Looks())
        work = Work()
        work.may_end.set()
        for _ in range(2):
            assert await kept.get(1, work, lambda _: False) == ("value", False)
        assert work.begun == 2

    asyncio.run(story())
