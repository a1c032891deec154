"""Stages are held back by a full channel and end with a closed one."""

import asyncio

import pytest
from search_plane.jobs.channel import Channel


def test_every_consumer_sees_the_end_and_no_item_is_lost() -> None:
    async def story() -> list[int]:
        channel: Channel[int] = Channel(2, producers=3)

        async def produce(start: int) -> None:
            for number in range(start, start + 100):
                await channel.put(number)
            await channel.done()

        async def consume() -> list[int]:
            return [number async for number in channel]

        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for start in (0, 100, 200):
                tasks.create_task(produce(start))
            consumers = [tasks.create_task(consume()) for _ in range(4)]
        return sorted(number for consumer in consumers for number in consumer.result())

    assert asyncio.run(story()) == list(range(300))


def test_a_full_channel_holds_the_producer_back() -> None:
    async def story() -> None:
        channel: Channel[int] = Channel(2)
        await channel.put(1)
        await channel.put(2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await channel.put(3)

    asyncio.run(story())


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 30])
def test_batches_hold_everything_in_order_and_no_more_than_asked(count: int) -> None:
    async def story() -> list[list[int]]:
        channel: Channel[int] = Channel(100)
        for number in range(count):
            await channel.put(number)
        await channel.done()
        async with asyncio.timeout(10):
            return [batch async for batch in channel.batches(8, linger=5)]

    batches = asyncio.run(story())
    assert [number for batch in batches for number in batch] == list(range(count))
    assert all(0 < len(batch) <= 8 for batch in batches)


def test_a_batch_does_not_wait_for_ever_to_fill() -> None:
    async def story() -> list[int]:
        channel: Channel[int] = Channel(100)
        await channel.put(1)
        async with asyncio.timeout(10):
            async for batch in channel.batches(8, linger=0.02):
                return batch
        return []

    assert asyncio.run(story()) == [1]
