"""Which release answers: the path of the one in use, and of the next one until its parts have answered."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import numpy as np
from pymilvus import MilvusException

from search_plane.gateway.embedding import QueryEncoder
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.join import Catalogue
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.settings import Settings
from search_plane.gateway.snapshot import SnapshotFile
from search_plane.gateway.vectors import VectorSearch
from search_plane.release.record import ReleaseSnapshot

log = logging.getLogger(__name__)

_PARTS = ("encoder", "milvus", "elasticsearch")


class ReleasePath:
    """One snapshot and the connections to its parts. A query uses one path to its end."""

    def __init__(self, snapshot: ReleaseSnapshot, settings: Settings) -> None:
        """Opens nothing yet. Raises ValueError or MilvusException for an address that is none."""
        pool = settings.pool_connections
        self.snapshot = snapshot
        self.vectors = VectorSearch(snapshot.milvus, settings.milvus_timeout_ms / 1000)
        self.catalogue = Catalogue(snapshot.catalogue, settings.es_timeout_ms / 1000, pool)
        self.encoder = QueryEncoder(
            snapshot.encoder_url, snapshot.encoder, settings.encoder_timeout_ms / 1000, pool
        )
        self.waiting_for: dict[str, str] = dict.fromkeys(_PARTS, "was not asked yet")
        self._budget = settings.total_timeout_ms / 1000
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        """Whether every part has answered once."""
        return not self.waiting_for

    async def ask(self) -> None:
        """Asks each part that has not answered yet a small real question, and notes what is wrong."""
        await asyncio.gather(*(self._ask(part) for part in tuple(self.waiting_for)))

    async def _ask(self, part: str) -> None:
        until = asyncio.get_running_loop().time() + self._budget
        try:
            if part == "encoder":
                await self.encoder.embed("预热", until)
            elif part == "milvus":
                direction = np.zeros(self.snapshot.encoder.dimension, dtype=np.float32)
                direction[0] = 1.0
                await self.vectors.nearest(direction, 1, until)
            else:
                await self.catalogue.probe(until)
        except Unavailable as fault:
            self.waiting_for[part] = str(fault)
        else:
            self.waiting_for.pop(part, None)

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
        """Closes the connections once the last query that uses them has ended."""
        await self._idle.wait()
        await asyncio.gather(self.encoder.close(), self.vectors.close(), self.catalogue.close())


class ReleaseSwitch:
    """Follows the release file. `current` answers; a newer snapshot takes over once all its parts answered.

    So a switch costs no query, and a release whose parts are not there yet never replaces one that works.
    The very first snapshot is taken at once: there is nothing better, and its faults explain the 503s.
    """

    def __init__(self, settings: Settings, metrics: GatewayMetrics) -> None:
        self.file = SnapshotFile(settings.release_file)
        self.current: ReleasePath | None = None
        self.pending: ReleasePath | None = None
        self.address_error: str | None = None
        self._settings = settings
        self._metrics = metrics
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def file_error(self) -> str | None:
        """What is wrong with the release file now, if anything."""
        return self.file.error or self.address_error

    async def follow(self) -> None:
        """Runs until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(self._settings.poll_seconds)

    async def step(self) -> None:
        """Reads the file if it changed, asks what has not answered, switches when all is there."""
        if self.file.refresh():
            self._take(self.file.latest)
        if self.current is not None and not self.current.ready:
            await self.current.ask()
        if self.pending is not None:
            await self.pending.ask()
            if self.pending.ready or (self.current is not None and not self.current.ready):
                self._use(self.pending)
        self._metrics.file_good.set(self.file_error is None)
        self._metrics.pending.set(self.pending is not None)

    def _take(self, snapshot: ReleaseSnapshot | None) -> None:
        self.address_error = None
        if snapshot is None:
            if self.current is not None:
                log.warning("release taken back", extra={"release": self.current.snapshot.release})
            self._let_go()
            return
        newest = self.pending or self.current
        if newest is not None and newest.snapshot == snapshot:
            return
        if self.pending is not None:
            self._retire(self.pending)
            self.pending = None
        if self.current is not None and self.current.snapshot == snapshot:
            return
        try:
            path = ReleasePath(snapshot, self._settings)
        except (ValueError, MilvusException):
            self.address_error = f"release {snapshot.release} names an address that is none"
            log.warning("release file refused: %s", self.address_error)
            return
        if self.current is None:
            self._use(path)
        else:
            self.pending = path

    def _use(self, path: ReleasePath) -> None:
        before, self.current, self.pending = self.current, path, None
        self._metrics.switched(path.snapshot)
        log.info(
            "release in use",
            extra={
                "release": path.snapshot.release,
                "collection": path.snapshot.milvus.collection,
                "before": before and before.snapshot.release,
            },
        )
        if before is not None:
            self._retire(before)

    def _let_go(self) -> None:
        """Serves nothing from now on; queries in flight end on what they began with."""
        self._metrics.release.clear()
        for path in (self.current, self.pending):
            if path is not None:
                self._retire(path)
        self.current = self.pending = None

    def _retire(self, path: ReleasePath) -> None:
        task = asyncio.create_task(path.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Closes every connection after the queries that use it."""
        self._let_go()
        await asyncio.gather(*self._closing)
