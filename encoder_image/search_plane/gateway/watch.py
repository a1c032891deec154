"""Watching a collection: sentinel rows are looked for again and again, and its rows are counted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search_plane.gateway.collection import Collection
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.wholeness import Sentinel, Wholeness, judge

log = logging.getLogger(__name__)

SENTINELS = 16
# Replicas take turns: one request would often see the healthy one only.
_READINGS = 2
# How much oftener probes come in doubt, to end it soon. Nothing else raises the pace: a Milvus that is merely slow or
# fails would get the more to do for it.
_IN_DOUBT = 5
_PROBES_PER_COUNT = 5
# While queries go elsewhere, only each so many-th turn looks for the sentinels: as many searches as a gateway's queries
# are for Milvus, they would be in those queries' way.
_SPARE_TURNS = 5
_CHOICES = 4
# One reading alone may be of a replica that is just returning.
_FIRST_COUNTS = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What the collection must be: of this fingerprint, with vectors of this dimension."""

    fingerprint: str
    dimension: int


class CollectionWatch:
    """Keeps `wholeness` true to what the collection shows. `learned` once it knows what to look for."""

    def __init__(
        self,
        collection: Collection,
        wholeness: Wholeness,
        expected: Expected,
        timeout_seconds: float,
        departed: Callable[[Sequence[str]], Awaitable[frozenset[str]]] | None = None,
        in_service: Callable[[], bool] = lambda: True,
    ) -> None:
        """`departed`: which of some ids the catalogue no longer has; none when it can't be asked.

        `in_service`: whether queries are answered from the collection.
        """
        self.wholeness = wholeness
        self.learned = False
        self._collection = collection
        self._expected = expected
        self._timeout = timeout_seconds
        self._departed = departed
        self._in_service = in_service
        self._turns = 0
        self._sentinels: tuple[Sentinel, ...] = ()
        self._probes = 0
        self._placed = True
        self._random = np.random.default_rng()

    async def learn(self) -> None:
        """Reads the collection's record, its number of rows, and chooses sentinels.

        Raises Unavailable without an answer, and when the collection is not one of the expected fingerprint.
        """
        name = self._collection.target.collection
        record = await self._collection.record(self._deadline())
        if record is None:
            raise Unavailable("milvus", "collection", f"collection {name} carries no release record")
        if record.encoder.fingerprint() != self._expected.fingerprint:
            raise Unavailable("milvus", "fingerprint", f"collection {name} is of another fingerprint")
        try:
            await self._place()
        except Unavailable:
            # Some node is missing; any that comes will be a new one.
            self.wholeness.placed(frozenset(), asyncio.get_running_loop().time())
        for _ in range(_FIRST_COUNTS):
            await self._count()
        await self._choose()
        self.learned = True

    async def run(self, probe_seconds: float) -> None:
        """Probes, and asks where the rows are read, until cancelled. A question without an answer proves nothing.

        What could not be asked for an unforeseen reason is doubted: a new process would fare no better.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                self._keep_asking(
                    self.turn,
                    lambda: probe_seconds / _IN_DOUBT if self.wholeness.doubtful else probe_seconds,
                )
            )
            # On its own, as probes may hang on a dead node while another one is about to answer.
            tasks.create_task(
                self._keep_asking(
                    self._place, lambda: probe_seconds if self._placed else probe_seconds / _IN_DOUBT
                )
            )

    async def _keep_asking(self, ask: Callable[[], Awaitable[None]], pause: Callable[[], float]) -> None:
        while True:
            await asyncio.sleep(pause())
            if self.learned:
                try:
                    await ask()
                except Unavailable as fault:
                    log.debug("a question on the collection got no answer: %s", fault)
                except Exception:
                    log.exception("a question on the collection failed")
                    self.wholeness.suspect()

    async def turn(self) -> None:
        """What is done each `probe_seconds`: a probe where queries are answered from it, or in doubt; else now and then."""
        self._turns += 1
        if self._in_service() or self.wholeness.doubtful or self._turns % _SPARE_TURNS == 0:
            await self.probe()

    async def probe(self) -> None:
        """Looks for every sentinel once per reading; now and then counts the rows and fills up the sentinels."""
        doubted = self.wholeness.doubtful
        readings = await asyncio.gather(*(self._found(self._sentinels) for _ in range(_READINGS)))
        missing = [one.id for one in self._sentinels if not all(one.id in found for found in readings)]
        stored = {}
        if missing:
            for rows in await asyncio.gather(
                *(self._collection.vectors(missing, self._deadline()) for _ in range(_READINGS))
            ):
                stored.update(rows)
        absent = [one for one in missing if one not in stored]
        departed = await self._departed(absent) if absent and self._departed else frozenset[str]()
        now = asyncio.get_running_loop().time()
        judgement = judge(self._sentinels, readings, stored, now, departed)
        self._sentinels = judgement.sentinels
        self.wholeness.probed(judgement.whole, now)
        if self.wholeness.doubtful is not doubted:
            state = "lacks rows" if self.wholeness.doubtful else "is whole again"
            log.warning(
                "collection %s %s", self._collection.target.collection, state, extra={"missing": len(missing)}
            )
        self._probes += 1
        if self._probes % _PROBES_PER_COUNT == 0:
            await self._count()
        if judgement.dropped or (not self.wholeness.doubtful and self._probes % _PROBES_PER_COUNT == 0):
            await self._choose()

    async def _place(self) -> None:
        """Reads who answers; a node that newly does is doubted before it answers, for its rows come after it."""
        doubted = self.wholeness.doubtful
        # Milvus does not tell it while a node is away; the one that comes back answers soon after it is named.
        self._placed = False
        placement = await self._collection.placement(self._deadline())
        self._placed = True
        self.wholeness.placed(placement, asyncio.get_running_loop().time())
        if self.wholeness.doubtful and not doubted:
            log.warning("collection %s is read by another node", self._collection.target.collection)

    async def _count(self) -> None:
        self.wholeness.counted(await self._collection.count(self._deadline()))

    async def _choose(self) -> None:
        """Fills up the sentinels with rows near random directions, which lie in any shard and segment."""
        wanted = min(SENTINELS, self.wholeness.rows) - len(self._sentinels)
        if wanted <= 0:
            return
        directions = self._random.standard_normal((SENTINELS, self._expected.dimension)).astype(np.float32)
        near = await self._collection.search(list(directions), _CHOICES, self._deadline())
        known = {sentinel.id for sentinel in self._sentinels}
        ids = sorted({hit.id for hits in near for hit in hits} - known)
        if not ids:
            return
        chosen = [str(one) for one in self._random.permutation(ids)[:wanted]]
        rows = await self._collection.vectors(chosen, self._deadline())
        candidates = tuple(Sentinel(identifier, vector) for identifier, vector in rows.items())
        found = await self._found(candidates)
        self._sentinels += tuple(one for one in candidates if one.id in found)

    async def _found(self, sentinels: tuple[Sentinel, ...]) -> frozenset[str]:
        if not sentinels:
            return frozenset()
        vectors = [sentinel.vector for sentinel in sentinels]
        answers = await self._collection.search(vectors, 1, self._deadline())
        metric = self._collection.target.metric
        return frozenset(
            sentinel.id
            for sentinel, hits in zip(sentinels, answers, strict=True)
            if hits and sentinel.is_found(hits[0].score, metric)
        )

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout
