"""kopf's part: it watches and only puts keys on the queue.

No change handlers, timers or daemons: those write annotations onto the user's resource, force a finalizer of the
framework's on it, and lose the crash-safety of deletion.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import kopf
from kopf._core.engines.peering import Identity

from search_operator.kubernetes_api import CHILD_KINDS, INDEX, LEASE, POD, Kind
from search_operator.observe.cache import Cache, IndexKey
from search_operator.render.child import MANAGED_BY
from search_operator.run.health import Pulse, frozen
from search_operator.run.leadership import LEASE_LABELS, Leadership
from search_operator.run.work_queue import WorkQueue


@dataclass
class Watches:
    """What the handlers touch."""

    cache: Cache
    queue: WorkQueue[IndexKey]
    leadership: Leadership
    last_event: float = field(default_factory=time.monotonic)

    def registry(self) -> kopf.OperatorRegistry:
        """All handlers of the operator."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        kopf.on.probe(registry=registry, id="frozen")(self._probe)
        _on_event(INDEX, registry, self._index_event)
        for kind in (*CHILD_KINDS, POD):
            _on_event(kind, registry, self._child_event)
        _on_event(LEASE, registry, self._lease_event)
        return registry

    async def _index_event(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        if type == "DELETED":
            key = (body["metadata"]["namespace"], body["metadata"]["name"])
            self.cache.drop_index(key)
            self.queue.add(key)
        elif not self.cache.knows(body):
            self.queue.add(self.cache.put_index(_plain(body)))

    async def _child_event(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        if type == "DELETED":
            key = self.cache.drop(_plain(body))
        else:
            # What we wrote ourselves is known from its answer: waking up for it would make writes chase each other.
            key = None if self.cache.knows(body) else self.cache.put(_plain(body))
        if key:
            self.queue.add(key)

    async def _lease_event(self, **_: Any) -> None:
        self.last_event = time.monotonic()

    async def _probe(self, **_: Any) -> str:
        now = time.monotonic()
        pulse = Pulse(
            watch_event_age=now - self.last_event,
            api_contact_age=now - self.leadership.last_contact,
            oldest_key_age=self.queue.oldest_wait_seconds() if self.leadership.leading else 0.0,
        )
        if why := frozen(pulse):
            raise kopf.PermanentError(why)
        return "moving"


def kopf_settings() -> kopf.OperatorSettings:
    """kopf, told to watch and nothing else."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.inactivity_timeout = 70
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 60
    settings.process.ultimate_exiting_timeout = 20
    ours = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
    for kind in (*CHILD_KINDS, POD):
        settings.watching.label_selectors[_group(kind), kind.api_version.split("/")[-1], kind.plural] = ours
    lease = ",".join(f"{key}={value}" for key, value in LEASE_LABELS.items())
    settings.watching.label_selectors[_group(LEASE), "v1", LEASE.plural] = lease
    return settings


def kopf_identity(name: str) -> Identity:
    """How kopf calls itself; it only matters for peering, which is off."""
    return Identity(name)


def _on_event(kind: Kind, registry: kopf.OperatorRegistry, handler: Any) -> None:
    kopf.on.event(_group(kind), kind.api_version.split("/")[-1], kind.plural, registry=registry)(handler)


def _group(kind: Kind) -> str:
    return kind.api_version.rpartition("/")[0]


def _plain(body: kopf.Body) -> dict[str, Any]:
    return dict(body)


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
