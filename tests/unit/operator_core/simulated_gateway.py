"""A fake gateway pod: its mounted copy of the pointer, what it answers from, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from search_operator.observe.observation import GatewayView
from search_plane.release.gateway_state import GatewayState, ReleaseTraffic
from search_plane.release.policy import POLICY_KEY, SearchPolicy
from search_plane.release.record import ReleaseSnapshot

Serves = Callable[[ReleaseSnapshot], bool]
# A query in flight ends within the gateway's own deadline.
IN_FLIGHT = timedelta(seconds=3)


@dataclass
class SimulatedGateway:
    """One pod. `lag`: after how long its kubelet looks by itself, 60 to 90 s.

    `down`: its container does not run; `silent`: it answers queries, but not the operator.
    """

    name: str
    lag: timedelta
    file: Mapping[str, str]
    ready: bool = False
    down: bool = False
    silent: bool = False
    draining: bool = False
    nudged: str = ""
    told: bool = False
    current: ReleaseSnapshot | None = None
    leaving: dict[str, datetime] = field(default_factory=dict)
    prepared: bool = False
    traffic: tuple[ReleaseTraffic, ...] = ()

    def nudge(self, revision: str) -> None:
        """The annotation makes the kubelet look soon."""
        self.nudged, self.told = revision, True

    def restart(self) -> None:
        """The container starts again, on the copy of the pointer that the pod has."""
        self.current, self.leaving, self.prepared, self.ready = None, {}, False, False
        self.down = False

    def stop(self) -> None:
        """The container is gone."""
        self.restart()
        self.down = True

    def live(
        self, now: datetime, pointer: Mapping[str, str] | None, changed_at: datetime, serves: Serves
    ) -> None:
        """What it does between two looks of the operator."""
        if pointer is not None and pointer != self.file and (self.told or now - changed_at >= self.lag):
            self.file, self.told = dict(pointer), False
        if self.down:
            return
        wanted = named(self.file, "release.json")
        self.leaving = {release: until for release, until in self.leaving.items() if until > now}
        if wanted is None:
            self._leave(now)
            self.current = None
        elif wanted != self.current and (self.current is None or serves(wanted) or not serves(self.current)):
            self._leave(now)
            self.current = wanted
            self.leaving.pop(wanted.release, None)
        self.ready = self.current is not None and (self.ready or serves(self.current))
        following = self.following
        self.prepared = following is not None and serves(following)

    def _leave(self, now: datetime) -> None:
        if self.current is not None:
            self.leaving[self.current.release] = now + IN_FLIGHT

    @property
    def policy(self) -> SearchPolicy:
        """What the file says of how to answer; the default where it says nothing."""
        return SearchPolicy.model_validate_json(self.file.get(POLICY_KEY, "{}"))

    @property
    def following(self) -> ReleaseSnapshot | None:
        """What it makes ready: what release.json names and is not in use yet, else what next.json names."""
        wanted = named(self.file, "release.json")
        return wanted if wanted is not None and wanted != self.current else named(self.file, "next.json")

    def may_query(self, release: str) -> bool:
        """Whether a query may go, now or without a further word, to that release."""
        if self.down:
            return False
        using = self.current.release if self.current else ""
        following = self.following.release if self.following else ""
        return release in (using, following, *self.leaving)

    def has_ready(self, snapshot: ReleaseSnapshot) -> bool:
        """Whether it can move to that snapshot at once."""
        return self.current == snapshot or (self.prepared and self.following == snapshot)

    def view(self) -> GatewayView:
        """What an observer sees."""
        if self.down or self.silent:
            return GatewayView(self.name, self.ready, self.nudged, None)
        current, following = self.current, self.following
        state = GatewayState(
            release=current.release if current else "",
            fingerprint=current.fingerprint if current else "",
            collection=current.milvus.collection if current else "",
            revision=current.revision() if current else "",
            next=following.release if following else "",
            next_revision=following.revision() if following else "",
            prepared=self.prepared,
            waiting_for={} if self.prepared or following is None else {"milvus": "does not answer"},
            leaving=tuple(sorted(self.leaving)),
            draining=self.draining,
            traffic=self.traffic,
            policy=self.policy.revision(),
        )
        return GatewayView(self.name, self.ready, self.nudged, state)


def named(file: Mapping[str, str], key: str) -> ReleaseSnapshot | None:
    """The snapshot in one of the pointer's files; None for `{}`."""
    text = file.get(key, "{}")
    return None if text == "{}" else ReleaseSnapshot.model_validate_json(text)
