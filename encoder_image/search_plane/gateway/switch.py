"""Which release answers: what release.json names, taken into use once its parts have answered."""

import asyncio
import logging

from pymilvus import MilvusException

from search_plane.gateway.lexicons import Lexicons
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.policy_file import PolicyFile
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.settings import Settings
from search_plane.gateway.snapshot import SnapshotFile
from search_plane.release.gateway_state import GatewayState, ReleaseTraffic
from search_plane.release.record import ReleaseSnapshot

log = logging.getLogger(__name__)


class ReleaseSwitch:
    """Follows release.json, which names what to answer from, and next.json, which names what to make ready.

    `current` answers. What next.json names is opened, asked and kept warm, and used the moment release.json names
    it. What release.json names unannounced takes over once all its parts answered. So a switch costs no query, and
    a release whose parts are not there never replaces one that works. The very first snapshot is taken at once:
    there is nothing better, and its faults explain the 503s.
    """

    def __init__(self, settings: Settings, metrics: GatewayMetrics) -> None:
        self.file = SnapshotFile(settings.release_file)
        self.next_file = SnapshotFile(settings.next_file, optional=True)
        self.policy_file = PolicyFile(settings.policy_file)
        metrics.policy(self.policy_file.latest.revision, good=True)
        self.current: ReleasePath | None = None
        self._settings = settings
        self._metrics = metrics
        self._lexicons = Lexicons()
        # Open paths by snapshot; a snapshot that names no address is not tried again.
        self._paths: dict[ReleaseSnapshot, ReleasePath] = {}
        self._refused: dict[ReleaseSnapshot, str] = {}
        self._leaving: set[ReleasePath] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def file_error(self) -> str | None:
        """What is wrong with release.json now, if anything."""
        latest = self.file.latest
        return self.file.error or (self._refused.get(latest) if latest else None)

    @property
    def pending(self) -> ReleasePath | None:
        """What release.json names and is not in use yet."""
        path = self._paths.get(self.file.latest) if self.file.latest else None
        return None if path is self.current else path

    @property
    def alive(self) -> bool:
        """False when a release is no longer looked after."""
        return all(path.alive for path in self._paths.values())

    async def follow(self) -> None:
        """Runs until cancelled."""
        while True:
            self.step()
            await asyncio.sleep(self._settings.poll_seconds)

    def step(self) -> None:
        """Reads the files and does what they say."""
        # In this order a release is never seen as no longer announced and not yet named.
        self.next_file.refresh()
        self.file.refresh()
        if self.policy_file.refresh():
            policy = self.policy_file
            self._metrics.policy(policy.latest.revision, policy.error is None)
        self.settle()

    def show(self) -> None:
        """Brings the state of the release in use into the metrics: its breakers', and what it knows of the words."""
        self._metrics.breakers.show(self.current.guards if self.current else None)
        self._metrics.lexicon_brands.set(len(self.current.lexicon.brands) if self.current else 0)

    def settle(self) -> None:
        """Opens what is named, switches when its parts have answered, lets go of the rest."""
        wanted, announced = self.file.latest, self.next_file.latest
        named = [snapshot for snapshot in (wanted, announced) if snapshot is not None]
        self._refused = {snapshot: why for snapshot, why in self._refused.items() if snapshot in named}
        for snapshot in named:
            self._open(snapshot)
        if wanted is None:
            self._let_go()
        elif (path := self.pending) is not None and (
            self.current is None or path.ready or not self.current.ready
        ):
            self._use(path)
        for snapshot, path in tuple(self._paths.items()):
            if snapshot not in named and path is not self.current:
                self._retire(self._paths.pop(snapshot))
        self._metrics.file_good.set(self.file_error is None)
        self._metrics.pending.set(self.pending is not None)
        self._metrics.doubtful.set(self.current is not None and self.current.vectors.wholeness.doubtful)

    def state(self, draining: bool, traffic: tuple[ReleaseTraffic, ...]) -> GatewayState:
        """What /release says."""
        current = self.current
        pending = self.pending
        following = pending.snapshot if pending else self.next_file.latest
        path = self._paths.get(following) if following else None
        asked = path or current
        waiting_for = dict(asked.waiting_for) if asked else {}
        if self.file_error is not None:
            waiting_for["release.json"] = self.file_error
        next_error = self.next_file.error or (self._refused.get(following) if following else None)
        if next_error is not None:
            waiting_for["next.json"] = next_error
        if self.policy_file.error is not None:
            waiting_for[self.policy_file.path.name] = self.policy_file.error
        return GatewayState(
            release=current.snapshot.release if current else "",
            fingerprint=current.snapshot.fingerprint if current else "",
            collection=current.snapshot.milvus.collection if current else "",
            revision=current.snapshot.revision() if current else "",
            next=following.release if following else "",
            next_revision=following.revision() if following else "",
            prepared=path is not None and path.ready,
            waiting_for=waiting_for,
            leaving=tuple(sorted(self._left_in_use())),
            policy=self.policy_file.latest.revision,
            draining=draining,
            breakers=dict(current.guards.states()) if current else {},
            traffic=traffic,
        )

    def _left_in_use(self) -> set[str]:
        """Replaced releases that queries use; not the one in use, of which only another snapshot was replaced."""
        now = self.current.snapshot.release if self.current else ""
        return {path.snapshot.release for path in self._leaving if path.used} - {now}

    def _open(self, snapshot: ReleaseSnapshot) -> None:
        if snapshot in self._paths or snapshot in self._refused:
            return
        try:
            path = ReleasePath(
                snapshot,
                self._settings,
                self._metrics,
                lambda: self.policy_file.latest.policy.breaker,
                self._lexicons,
            )
        except (ValueError, MilvusException):
            why = f"release {snapshot.release} names an address that is none"
            self._refused[snapshot] = why
            log.warning("snapshot refused: %s", why)
            return
        self._paths[snapshot] = path
        path.start(self.settle)

    def _use(self, path: ReleasePath) -> None:
        before, self.current = self.current, path
        path.in_service = True
        if before is not None:
            before.in_service = False
        self._metrics.switched(path.snapshot)
        log.info(
            "release in use",
            extra={
                "release": path.snapshot.release,
                "collection": path.snapshot.milvus.collection,
                "before": before and before.snapshot.release,
            },
        )

    def _let_go(self) -> None:
        """Serves nothing from now on; queries in flight end on what they began with."""
        if self.current is not None:
            log.warning("release taken back", extra={"release": self.current.snapshot.release})
            self._metrics.release.clear()
            self.current.in_service = False
            self.current = None

    def _retire(self, path: ReleasePath) -> None:
        self._leaving.add(path)
        task = asyncio.create_task(self._close(path))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, path: ReleasePath) -> None:
        try:
            await path.close()
        finally:
            self._leaving.discard(path)

    async def close(self) -> None:
        """Closes every connection after the queries that use it."""
        self._let_go()
        while self._paths:
            self._retire(self._paths.popitem()[1])
        await asyncio.gather(*self._closing)
