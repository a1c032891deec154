"""Leadership by a Lease, with the official client's election; two operators run, one writes."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic.exceptions import ConflictError, DynamicApiError
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from search_operator.kubernetes_api import LEASE, KubernetesApi

log = logging.getLogger(__name__)

CALL_SECONDS = 4.0
LEASE_NAME = "semantic-search-operator"
LEASE_LABELS = {"app.kubernetes.io/name": "semantic-search-operator"}


@dataclass
class Leadership:
    """Whether this process leads. `last_contact` is the monotonic time of the last answer about the Lease."""

    namespace: str
    identity: str
    lease_seconds: int
    leading: bool = False
    last_contact: float = field(default_factory=time.monotonic)
    _term: asyncio.Task[Any] | None = None

    async def run(self, client: ApiClient, api: KubernetesApi, lead: Callable[[], Awaitable[None]]) -> None:
        """Stand for election for ever; `lead()` runs while elected and is cancelled when leadership is lost."""
        while True:
            try:
                await self._ensure_lease(api)
                await self._election(client, lead).run()
                log.warning("%s leads no more", self.identity)
            except Exception as error:  # whatever it is, this replica does not lead
                log.warning("standing for election again after %s: %s", type(error).__name__, error)
            finally:
                self.leading = False
                await self._end_term()
            await asyncio.sleep(2)

    async def release(self, api: KubernetesApi) -> None:
        """Give the Lease back on an orderly stop, so that the next leader need not wait for it to run out."""
        try:
            lease = await api.get(LEASE, self.namespace, LEASE_NAME)
            if lease and lease.get("spec", {}).get("holderIdentity") == self.identity:
                meta = {"resourceVersion": lease["metadata"]["resourceVersion"]}
                body = {"metadata": meta, "spec": {"holderIdentity": None}}
                await api.merge(LEASE, self.namespace, LEASE_NAME, body)
        except (DynamicApiError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("the Lease runs out by itself: %s: %s", type(error).__name__, error)

    async def _end_term(self) -> None:
        """The library leaves the work of a term running when the election itself is cancelled or fails."""
        term, self._term = self._term, None
        if term is not None and not term.done():
            term.cancel()
            await asyncio.wait({term})

    async def _ensure_lease(self, api: KubernetesApi) -> None:
        """The library cannot create the Lease (it passes pretty=True, which its own client refuses)."""
        if await api.get(LEASE, self.namespace, LEASE_NAME):
            return
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": LEASE_NAME, "namespace": self.namespace, "labels": LEASE_LABELS},
            "spec": {},
        }
        try:
            await api.create(LEASE, self.namespace, body)
        except ConflictError:
            log.info("another replica has just created the Lease")

    def _election(self, client: ApiClient, lead: Callable[[], Awaitable[None]]) -> LeaderElection:
        async def started() -> None:
            self._term = asyncio.current_task()
            self.leading = True
            log.info("%s leads", self.identity)
            try:
                await lead()
            finally:
                self.leading = False

        async def stopped() -> None:
            self.leading = False

        lock = _ObservedLock(self, LEASE_NAME, self.namespace, self.identity, client)
        return LeaderElection(
            Config(
                lock,
                lease_duration=self.lease_seconds,
                renew_deadline=self.lease_seconds * 2 // 3,
                retry_period=max(1, self.lease_seconds // 7),
                onstarted_leading=started,
                onstopped_leading=stopped,
            )
        )


class _ObservedLock(LeaseLock):  # type: ignore[misc]  # the library's class is untyped here
    """Notes when the API server last answered, and takes an unanswered call for a failed try.

    The library then tries again until its renew deadline; an exception would end the term at once.
    """

    def __init__(
        self, leadership: Leadership, name: str, namespace: str, identity: str, client: ApiClient
    ) -> None:
        super().__init__(name, namespace, identity, client)
        self._leadership = leadership

    async def get(self, name: str, namespace: str) -> Any:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await super().get(name, namespace)
        except (TimeoutError, aiohttp.ClientError) as error:
            return False, ApiException(status=0, reason=f"{type(error).__name__}: {error}")
        if answer[0]:
            self._leadership.last_contact = time.monotonic()
        return answer

    async def update(self, name: str, namespace: str, updated_record: Any) -> bool:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return bool(await super().update(name, namespace, updated_record))
        except (TimeoutError, aiohttp.ClientError) as error:
            log.warning("the Lease could not be renewed: %s: %s", type(error).__name__, error)
            return False
