"""One release's way to its answers: the connections to its parts, kept warm and watched until it is let go."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search_plane.gateway.caching import Bounded, Remembered
from search_plane.gateway.embedding import QueryEncoder
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.join import Catalogue
from search_plane.gateway.lexicon import LexiconWatch
from search_plane.gateway.lexicons import Lexicons
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.protection.breakers import Breakers
from search_plane.gateway.settings import Settings
from search_plane.gateway.vectors import VectorSearch
from search_plane.gateway.watch import CollectionWatch, Expected
from search_plane.release.policy import BreakerPolicy
from search_plane.release.record import ReleaseSnapshot
from search_plane.understanding.lexicon import EMPTY, Lexicon

if TYPE_CHECKING:
    from search_plane.gateway.sides import Found

log = logging.getLogger(__name__)

# A query's vector is the same for as long as the encoder is; those that nobody asks for any more shall go.
_VECTOR_SECONDS = 3600.0
# What an entry takes beside its value: the key, and the cache's own links.
_ENTRY_BYTES = 600
# Seconds between readings of what the catalogue's index can be asked.
_FIELDS_SECONDS = 600.0
# Longest age of "its parts have answered" while a release waits to be used.
WARM_SECONDS = 5.0
# Readings of the release file for each question to a part that has not answered: a file is cheaper to ask than an encoder.
_POLLS_PER_QUESTION = 2.5
# Connections to the encoder and the catalogue that are open before the first query comes.
_WARM_CONNECTIONS = 4
_PARTS = ("encoder", "milvus", "elasticsearch")


class ReleasePath:
    """One snapshot and the connections to its parts. A query uses one path to its end.

    `waiting_for` says which parts have not answered, and why. Out of service, all parts are asked again and again,
    so that `ready` is true to now; in service it only ever becomes true, as an outage is no reason to stop serving.
    """

    def __init__(
        self,
        snapshot: ReleaseSnapshot,
        settings: Settings,
        metrics: GatewayMetrics,
        breaker_policy: Callable[[], BreakerPolicy],
        lexicons: Lexicons,
    ) -> None:
        """Opens nothing yet. Raises ValueError or MilvusException for an address that is none."""
        pool = settings.pool_connections
        timeout = settings.milvus_timeout_ms / 1000
        self.snapshot = snapshot
        self.in_service = False
        self.vectors = VectorSearch(
            snapshot.milvus,
            timeout,
            settings.milvus_hedge_ms / 1000 or None,
            on_extra=lambda kind: metrics.extra_searches.labels(kind).inc(),
        )
        expected = Expected(snapshot.fingerprint, snapshot.encoder.dimension)
        self.catalogue = Catalogue(
            snapshot.catalogue,
            settings.es_timeout_ms / 1000,
            pool,
            on_extra=lambda: metrics.extra_searches.labels("elasticsearch").inc(),
        )
        self.watch = CollectionWatch(
            self.vectors.collection,
            self.vectors.wholeness,
            expected,
            timeout,
            self._departed,
            lambda: self.in_service,
        )
        self.encoder = QueryEncoder(
            snapshot.encoder_url,
            snapshot.encoder,
            settings.encoder_timeout_ms / 1000,
            pool,
            settings.encoder_hedge_ms / 1000 or None,
            on_extra=lambda: metrics.extra_searches.labels("encoder").inc(),
        )
        # A release's own: what another's encoder did says nothing of this one's.
        self.guards = Breakers(breaker_policy, metrics.breakers)
        self._lexicons = lexicons
        self._words: LexiconWatch | None = None
        self.waiting_for: dict[str, str] = dict.fromkeys(_PARTS, "was not asked yet")
        # Of this path and no other: what one release came to never answers for another.
        self.query_vectors: Remembered[str, NDArray[np.float32]] = Remembered(
            "vectors",
            Bounded(
                settings.vector_cache_entries,
                settings.vector_cache_megabytes << 20,
                _VECTOR_SECONDS,
                lambda vector: vector.nbytes + _ENTRY_BYTES,
                time.monotonic,
            ),
            metrics,
        )
        self.candidates: Remembered[Hashable, Found] = Remembered(
            "candidates",
            Bounded(
                settings.result_cache_entries,
                settings.result_cache_megabytes << 20,
                settings.result_cache_seconds,
                lambda found: found.size(),
                time.monotonic,
            ),
            metrics,
        )
        self._settings = settings
        self._mismatch: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        """Whether every part has answered."""
        return not self.waiting_for

    @property
    def used(self) -> bool:
        """Whether a query is under way on it."""
        return self._users > 0

    @property
    def alive(self) -> bool:
        """False when it is no longer looked after: only a new process would heal that."""
        return not any(task.done() for task in self._tasks)

    def start(self, on_answers: Callable[[], None]) -> None:
        """Begins to ask and to watch; `on_answers` is called after each round of answers."""
        self._words = self._lexicons.hold(self.snapshot.catalogue)
        self._tasks = [
            asyncio.create_task(self._keep_asking(on_answers)),
            asyncio.create_task(self.watch.run(self._settings.probe_seconds)),
            asyncio.create_task(self._keep_learning()),
        ]

    async def _keep_asking(self, on_answers: Callable[[], None]) -> None:
        while True:
            parts = tuple(self.waiting_for) if self.in_service else _PARTS
            await asyncio.gather(*(self._ask(part) for part in parts))
            on_answers()
            await asyncio.sleep(
                WARM_SECONDS if self.ready else _POLLS_PER_QUESTION * self._settings.poll_seconds
            )

    async def _ask(self, part: str) -> None:
        """Asks a part a small real question, and notes what is wrong."""
        until = asyncio.get_running_loop().time() + self._settings.total_timeout_ms / 1000
        try:
            if part == "encoder":
                # One text: four of each gateway at the moment of a switch would be in its queries' way.
                await asyncio.gather(
                    self.encoder.embed("预热", until), self.encoder.connect(_WARM_CONNECTIONS - 1)
                )
            elif part == "milvus":
                await self._ask_milvus(until)
            else:
                await asyncio.gather(*(self.catalogue.probe(until) for _ in range(_WARM_CONNECTIONS)))
                await self._learn_fields(until)
        except Unavailable as fault:
            if not self.in_service or part in self.waiting_for:
                self.waiting_for[part] = str(fault)
        else:
            self.waiting_for.pop(part, None)

    async def _ask_milvus(self, until: float) -> None:
        if not self.watch.learned:
            try:
                await self.watch.learn()
            except Unavailable as fault:
                self._mismatch = str(fault) if fault.reason == "fingerprint" else None
                raise
            self._mismatch = None
        direction = np.zeros(self.snapshot.encoder.dimension, dtype=np.float32)
        direction[0] = 1.0
        nearest = await self.vectors.nearest(direction, 1, until)
        if not nearest.whole:
            name = self.snapshot.milvus.collection
            raise Unavailable("milvus", "partial", f"Milvus does not see all rows of collection {name}")

    async def _departed(self, ids: Sequence[str]) -> frozenset[str]:
        """Which of the ids the catalogue no longer has; none while it does not answer."""
        until = asyncio.get_running_loop().time() + self._settings.es_timeout_ms / 1000
        try:
            documents = await self.catalogue.documents(ids, until)
        except Unavailable:
            return frozenset()
        return frozenset(identifier for identifier, document in documents.items() if document is None)

    async def _learn_fields(self, until: float) -> None:
        """Reads what the index's fields can be searched for; without it words are looked for by the fields' names alone."""
        try:
            await self.catalogue.learn_fields(until)
        except Unavailable as fault:
            log.warning("the fields of the catalogue's index can't be read: %s", fault)

    async def _keep_learning(self) -> None:
        """A sub-field that is added to the index is found without a restart."""
        while True:
            await asyncio.sleep(_FIELDS_SECONDS)
            await self._learn_fields(asyncio.get_running_loop().time() + self._settings.es_timeout_ms / 1000)

    @property
    def lexicon(self) -> Lexicon:
        """What is known of the catalogue's words; nothing until it was learnt, which no query waits for."""
        return self._words.lexicon if self._words is not None else EMPTY

    def refuse_mismatch(self) -> None:
        """Raises Unavailable when the collection is known to be another fingerprint's."""
        if self._mismatch is not None:
            raise Unavailable("milvus", "fingerprint", self._mismatch)

    @contextlib.contextmanager
    def in_use(self) -> Iterator["ReleasePath"]:
        """Keeps the connections open while a query is under way."""
        self._users += 1
        self._idle.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if self._users == 0:
                self._idle.set()

    async def close(self) -> None:
        """Stops looking after it at once; closes the connections once the last query that uses them has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._idle.wait()
        await self.guards.close()
        if self._words is not None:
            await self._lexicons.let_go(self.snapshot.catalogue)
        await asyncio.gather(self.encoder.close(), self.vectors.close(), self.catalogue.close())
