"""What a search does when Milvus is short, slow or broken. The collection is a fake: no real one lies on demand."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from search_plane.gateway.collection import Collection, Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.vectors import Extra, Nearest, VectorSearch
from search_plane.gateway.watch import CollectionWatch, Expected
from search_plane.gateway.wholeness import WHOLE_PROBES, Placement, Wholeness
from search_plane.release.identity import EncoderIdentity
from search_plane.release.record import HnswIndex, MilvusTarget, ReleaseRecord

from tests.unit.gateway.snapshots import identity, snapshot

TARGET = snapshot().milvus
DIMENSION = 16
QUERY = np.eye(DIMENSION, dtype=np.float32)[0]
ENCODER: EncoderIdentity = identity(dimension=DIMENSION)


def broken(reason: str = "refused") -> Unavailable:
    return Unavailable("milvus", reason, "no")


class FakeCollection(Collection):
    """A collection of `rows` random rows, of which searches and reads miss those in `unseen`.

    `faults` are raised by the next searches, None for none; `delays` are slept by them, in seconds. A search that is
    not asked to go deeper `gives_up_after` so many rows, as a graph may that many rows were deleted of.
    """

    def __init__(self, target: MilvusTarget = TARGET, rows: int = 200, encoder: Any = ENCODER) -> None:
        self.target = target
        self.stores_fields = True
        given = np.random.default_rng(1).standard_normal((rows, DIMENSION)).astype(np.float32)
        self.rows = {f"p-{row}": vector / np.linalg.norm(vector) for row, vector in enumerate(given)}
        self.unseen: set[str] = set()
        self.faults: list[Unavailable | None] = []
        self.delays: list[float] = []
        self.searches = 0
        self.asked: list[tuple[str, int]] = []
        self.gives_up_after = rows
        self.nodes = {1}
        self.lost: Unavailable | None = None
        self.named = asyncio.Event()
        self.encoder = encoder

    @property
    def seen(self) -> dict[str, NDArray[np.float32]]:
        return {name: vector for name, vector in self.rows.items() if name not in self.unseen}

    async def search(
        self,
        vectors: Sequence[NDArray[np.float32]],
        limit: int,
        deadline: float,
        condition: str = "",
        least_ef: int = 0,
    ) -> list[list[Neighbour]]:
        self.searches += 1
        self.asked.append((condition, least_ef))
        fault = self.faults.pop(0) if self.faults else None
        if self.delays:
            await asyncio.sleep(self.delays.pop(0))
        if fault is not None:
            raise fault
        seen = self.seen
        return [
            sorted(
                (Neighbour(name, float(row @ vector)) for name, row in seen.items()),
                key=lambda neighbour: -neighbour.score,
            )[: limit if least_ef else min(limit, self.gives_up_after)]
            for vector in vectors
        ]

    async def placement(self, deadline: float) -> Placement:
        if self.lost is not None:
            raise self.lost
        self.named.set()
        return frozenset((0, "v0", node, frozenset(self.nodes)) for node in self.nodes)

    async def count(self, deadline: float) -> int:
        return len(self.seen)

    async def vectors(self, ids: Sequence[str], deadline: float) -> dict[str, NDArray[np.float32]]:
        return {name: self.seen[name] for name in ids if name in self.seen}

    async def record(self, deadline: float) -> ReleaseRecord | None:
        if self.encoder is None:
            return None
        return ReleaseRecord(
            namespace="shop",
            index="products",
            release="r-1",
            encoder=self.encoder,
            hnsw=HnswIndex(),
            shards=1,
        )


class Bench:
    """A search and a watch over one fake collection."""

    def __init__(self, collection: FakeCollection, hedge: float | None = None) -> None:
        self.extras: list[Extra] = []
        self.first_extra = asyncio.Event()
        self.collection = collection
        wholeness = Wholeness()
        self.search = VectorSearch(TARGET, 2.0, hedge, wholeness, self.note)
        self.search.collection = collection
        expected = Expected(ENCODER.fingerprint(), DIMENSION)
        self.in_service = True
        self.watch = CollectionWatch(collection, wholeness, expected, 1.0, in_service=lambda: self.in_service)

    def note(self, kind: Extra) -> None:
        self.extras.append(kind)
        self.first_extra.set()

    async def ask(self, limit: int = 10, within: float = 2.0, condition: str = "") -> Nearest:
        return await self.search.nearest(QUERY, limit, asyncio.get_running_loop().time() + within, condition)


def test_a_whole_answer_costs_one_search() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        before = bench.collection.searches
        nearest = await bench.ask()
        assert (len(nearest.neighbours), nearest.whole) == (10, True)
        assert bench.collection.searches == before + 1
        assert bench.extras == []

    asyncio.run(story())


def test_a_short_answer_is_tried_again_and_marked_although_the_next_is_long() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        bench.collection.unseen = set(list(bench.collection.rows)[5:])
        asked = asyncio.create_task(bench.ask())
        await asyncio.wait_for(bench.first_extra.wait(), 5)
        bench.collection.unseen = set()
        nearest = await asked
        # A replica that lacks rows may give the next query ten wrong ones.
        assert (len(nearest.neighbours), nearest.whole, bench.extras) == (10, False, ["short"])

    asyncio.run(story())


@pytest.mark.parametrize("left", [0, 3])
def test_an_answer_that_stays_short_is_given_and_marked(left: int) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        bench.collection.unseen = set(list(bench.collection.rows)[left:])
        nearest = await bench.ask()
        assert (len(nearest.neighbours), nearest.whole, bench.extras) == (left, False, ["short"] * 5)

    asyncio.run(story())


@pytest.mark.parametrize("seen", [15, 60, 104])
def test_a_deep_answer_that_lacks_rows_is_marked_however_long_it_is(seen: int) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        bench.collection.unseen = set(list(bench.collection.rows)[seen:])
        nearest = await bench.ask(limit=105)
        assert (len(nearest.neighbours), nearest.whole) == (seen, False)
        bench.collection.unseen = set()
        assert not (await bench.ask(limit=105)).whole

    asyncio.run(story())


@pytest.mark.parametrize("found", [5, 90, 104])
def test_a_graph_that_gives_up_is_asked_deeper_and_casts_no_doubt(found: int) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        bench.collection.gives_up_after = found
        bench.collection.asked.clear()
        nearest = await bench.ask(limit=105)
        assert (len(nearest.neighbours), nearest.whole, bench.extras) == (105, True, ["short"])
        assert [least_ef for _, least_ef in bench.collection.asked] == [0, 840]
        assert not bench.search.wholeness.doubtful

    asyncio.run(story())


@pytest.mark.parametrize("left", [0, 3])
def test_what_passes_a_condition_may_be_few(left: int) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        bench.collection.unseen = set(list(bench.collection.rows)[left:])
        bench.collection.asked.clear()
        nearest = await bench.ask(condition="price <= 5.0")
        assert (len(nearest.neighbours), nearest.whole, bench.extras) == (left, True, [])
        assert bench.collection.asked == [("price <= 5.0", 0)]

    asyncio.run(story())


def test_a_condition_is_refused_where_nothing_is_stored() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        bench.collection.stores_fields = False
        with pytest.raises(ValueError, match="stores no fields"):
            await bench.ask(condition="price <= 5.0")

    asyncio.run(story())


@pytest.mark.parametrize("rows", [0, 7])
def test_a_collection_smaller_than_k_is_no_suspicion(rows: int) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection(rows=rows))
        await bench.watch.learn()
        await bench.watch.probe()
        nearest = await bench.ask()
        assert (len(nearest.neighbours), nearest.whole, bench.extras) == (rows, True, [])

    asyncio.run(story())


def test_a_collection_out_of_service_is_seldom_searched_unless_in_doubt() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()

        async def searched(turns: int) -> list[bool]:
            found = []
            for _ in range(turns):
                before = bench.collection.searches
                await bench.watch.turn()
                found.append(bench.collection.searches > before)
            return found

        bench.in_service = False
        assert await searched(5) == [False, False, False, False, True]
        bench.in_service = True
        assert await searched(2) == [True, True]
        bench.in_service = False
        bench.search.wholeness.suspect()
        assert (await searched(1)) == [True]

    asyncio.run(story())


def test_a_failed_search_is_tried_again() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        bench.collection.faults = [broken(), broken("connection")]
        nearest = await bench.ask()
        assert (len(nearest.neighbours), nearest.whole, bench.extras) == (10, True, ["failed"] * 2)

    asyncio.run(story())


@pytest.mark.parametrize("reason", ["credentials", "collection", "timeout"])
def test_what_another_try_does_not_heal_is_told_at_once(reason: str) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        bench.collection.faults = [broken(reason)]
        with pytest.raises(Unavailable):
            await bench.ask()
        assert bench.collection.searches == 1

    asyncio.run(story())


def test_tries_end_in_time() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        bench.collection.faults = [broken()] * 10
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await bench.ask(within=0.06)
        assert time.monotonic() - started < 1.0
        assert bench.extras == ["failed"]

    asyncio.run(story())


def test_a_slow_search_is_asked_twice_until_the_budget_is_spent() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection(), hedge=0.001)
        for _ in range(200):
            bench.collection.delays = [0.005, 0.0]
            await bench.ask()
        # 50 at once, and one for ten queries.
        assert 50 <= len(bench.extras) <= 70
        assert set(bench.extras) == {"hedge"}

    asyncio.run(story())


def test_missing_rows_are_seen_by_the_probe_though_answers_are_long() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        await bench.watch.probe()
        assert (await bench.ask()).whole
        bench.collection.unseen = set(list(bench.collection.rows)[::2])
        await bench.watch.probe()
        assert not (await bench.ask()).whole
        bench.collection.unseen = set()
        # Again and again, for a probe may meet only the replica that is whole.
        for _ in range(WHOLE_PROBES):
            assert not (await bench.ask()).whole
            await bench.watch.probe()
        assert (await bench.ask()).whole

    asyncio.run(story())


def test_deletes_cast_no_doubt_and_the_sentinels_are_filled_up() -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        for _ in range(20):
            gone = bench.watch._sentinels[0].id
            del bench.collection.rows[gone]
            await bench.watch.probe()
            assert not bench.search.wholeness.doubtful
            assert len(bench.watch._sentinels) == 16

    asyncio.run(story())


def test_a_probe_that_fails_unforeseen_is_doubt_and_the_next_one_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        await bench.watch.learn()
        doubts: list[bool] = []
        again = asyncio.Event()

        async def probe() -> None:
            doubts.append(bench.search.wholeness.doubtful)
            if len(doubts) == 2:
                again.set()
            raise RuntimeError("unforeseen")

        monkeypatch.setattr(bench.watch, "probe", probe)
        running = asyncio.create_task(bench.watch.run(0.001))
        await asyncio.wait_for(again.wait(), 5)
        assert doubts[:2] == [False, True]
        running.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("alone_at_first", [False, True])
def test_a_node_that_returns_is_doubted_before_it_answers(alone_at_first: bool) -> None:
    async def story() -> None:
        bench = Bench(FakeCollection())
        away = Unavailable("milvus", "refused", "no available nodes in replica")
        bench.collection.lost = away if alone_at_first else None
        await bench.watch.learn()
        bench.collection.lost = away
        running = asyncio.create_task(bench.watch.run(0.001))
        for _ in range(5):
            assert (await bench.ask()).whole, "the nodes that are left have all rows"
        bench.collection.nodes, bench.collection.lost = {2}, None
        bench.collection.named.clear()
        await asyncio.wait_for(bench.collection.named.wait(), 5)
        assert not (await bench.ask()).whole
        running.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("encoder", [None, identity("2", DIMENSION)])
def test_a_collection_of_another_fingerprint_or_of_none_is_refused(encoder: Any) -> None:
    with pytest.raises(Unavailable, match=r"fingerprint|no release record"):
        asyncio.run(Bench(FakeCollection(encoder=encoder)).watch.learn())
