"""The work queue: one worker a key, nothing lost, nothing twice. Every wait is for an event."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from search_operator.run.work_queue import LONGEST_BACKOFF_SECONDS, WorkQueue, backoff_seconds

WITHIN_SECONDS = 10.0


class Handler:
    """A fake of the reconciler that stops in the middle of each pass until it is let go on."""

    def __init__(self, due: float | None = None) -> None:
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.go_on: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.due = due
        self.now_handled: list[str] = []

    async def __call__(self, key: str) -> float | None:
        assert key not in self.now_handled, f"{key} is handled twice at once"
        self.now_handled.append(key)
        self.began.put_nowait(key)
        try:
            if error := await self.go_on.get():
                raise error
        finally:
            self.now_handled.remove(key)
        return self.due

    def on_error(self, key: str, error: Exception) -> None:
        """What the queue tells of a failed pass."""
        self.errors.put_nowait(error)


def run(
    test: Callable[[WorkQueue[str], Handler], Awaitable[None]], workers: int = 2, due: float | None = None
) -> None:
    """Run a test in a loop with that many workers; the whole of it within a deadline."""

    async def body() -> None:
        handler = Handler(due)
        queue = WorkQueue(handle=handler, on_error=handler.on_error)
        tasks = [asyncio.create_task(queue.work()) for _ in range(workers)]
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                await test(queue, handler)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(body())


def test_a_waiting_key_is_handled_once_however_often_it_is_added() -> None:
    async def test(queue: WorkQueue[str], handler: Handler) -> None:
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        assert queue.depth() == 2
        assert {await handler.began.get(), await handler.began.get()} == {"a", "b"}
        for _ in range(2):
            handler.go_on.put_nowait(None)
        queue.add("c")
        assert await handler.began.get() == "c"
        assert handler.began.empty()

    run(test)


def test_a_key_added_while_handled_is_handled_once_more_and_never_twice_at_once() -> None:
    async def test(queue: WorkQueue[str], handler: Handler) -> None:
        queue.add("a")
        await handler.began.get()
        queue.add("a")
        queue.add("a")
        assert queue.depth() == 0
        handler.go_on.put_nowait(None)
        assert await handler.began.get() == "a"
        handler.go_on.put_nowait(None)
        queue.add("end")
        assert await handler.began.get() == "end"

    run(test)


def test_a_failed_key_comes_back() -> None:
    async def test(queue: WorkQueue[str], handler: Handler) -> None:
        queue.add("a")
        await handler.began.get()
        boom = RuntimeError("boom")
        handler.go_on.put_nowait(boom)
        assert await handler.errors.get() is boom
        assert await handler.began.get() == "a"

    run(test)


def test_a_key_comes_back_when_it_asked_to() -> None:
    async def test(queue: WorkQueue[str], handler: Handler) -> None:
        queue.add("a")
        await handler.began.get()
        handler.go_on.put_nowait(None)
        assert await handler.began.get() == "a"

    run(test, due=0.01)


def test_an_earlier_appointment_wins_and_an_addition_replaces_it() -> None:
    async def test(queue: WorkQueue[str], handler: Handler) -> None:
        queue.add_after("a", 0.01)
        queue.add_after("a", 3600)
        assert await handler.began.get() == "a"
        handler.go_on.put_nowait(None)
        queue.add_after("b", 3600)
        queue.add_after("b", 0.01)
        assert await handler.began.get() == "b"
        queue.add_after("c", 3600)
        queue.add("c")
        assert await handler.began.get() == "c"

    run(test, workers=3)


def test_a_forgotten_key_does_not_come_back() -> None:
    async def test(queue: WorkQueue[str], handler: Handler) -> None:
        queue.add_after("a", 0.0)
        queue.forget("a")
        queue.add_after("b", 0.01)
        assert await handler.began.get() == "b"
        assert handler.began.empty()

    run(test)


def test_waits_are_counted_only_while_somebody_works() -> None:
    async def idle() -> None:
        handler = Handler()
        queue = WorkQueue(handle=handler, on_error=handler.on_error)
        queue.add("a")
        queue._waiting["a"] -= 3600
        assert queue.oldest_wait_seconds() == 0.0
        worker = asyncio.create_task(queue.work())
        async with asyncio.timeout(WITHIN_SECONDS):
            await handler.began.get()
        assert queue.oldest_wait_seconds() < WITHIN_SECONDS
        queue._busy["a"] = queue._staffed_since = queue._busy["a"] - 400
        assert queue.oldest_wait_seconds() > 300
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        assert queue.oldest_wait_seconds() == 0.0

    asyncio.run(idle())


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 15.0), (10_000, 15.0)])
def test_backoff_doubles_within_its_bounds(failures: int, ceiling: float) -> None:
    for _ in range(50):
        assert ceiling / 2 <= backoff_seconds(failures) <= ceiling <= LONGEST_BACKOFF_SECONDS
