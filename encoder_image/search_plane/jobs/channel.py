"""A bounded queue between two stages of a pipeline: full, it holds producers back; closed, it ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """Any number of producers and consumers. Closes when each of its producers has said that it is done."""

    def __init__(self, capacity: int, producers: int = 1) -> None:
        self._queue: asyncio.Queue[T | None] = asyncio.Queue(capacity)
        self._producers = producers

    async def put(self, item: T) -> None:
        """Waits while the channel is full."""
        await self._queue.put(item)

    async def done(self) -> None:
        """Called once by each producer after its last item."""
        self._producers -= 1
        if self._producers == 0:
            await self._queue.put(None)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Items until the channel is closed and empty; every consumer sees the end."""
        while (item := await self._queue.get()) is not None:
            yield item
        # Pass the end on to the next consumer; one slot is free, for it was just taken out.
        self._queue.put_nowait(None)

    async def batches(self, most: int, linger: float) -> AsyncIterator[list[T]]:
        """Lists of up to `most` items, each handed on `linger` seconds after its first item at the latest."""
        open_ = True
        while open_:
            batch: list[T] = []
            try:
                async with asyncio.timeout(None) as limit:
                    while len(batch) < most:
                        item = await self._queue.get()
                        if item is None:
                            open_ = False
                            self._queue.put_nowait(None)
                            break
                        if not batch:
                            limit.reschedule(asyncio.get_running_loop().time() + linger)
                        batch.append(item)
            except TimeoutError:
                pass
            if batch:
                yield batch
