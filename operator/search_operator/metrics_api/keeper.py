"""Keeps the metrics API going in one operator process: its certificate, its callers, its place in the cluster's API."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from kubernetes.aio.dynamic.exceptions import ConflictError, DynamicApiError, ForbiddenError

from search_operator.kubernetes_api import API_SERVICE, CLUSTER_ROLE, CONFIG_MAP, SECRET, KubernetesApi
from search_operator.metrics_api import callers
from search_operator.metrics_api.answers import PodsOf, application
from search_operator.metrics_api.callers import Trust, trust_of
from search_operator.metrics_api.certificate import (
    ServingCertificate,
    certificate_in,
    due,
    renewed,
    secret_data,
)
from search_operator.metrics_api.listener import Listener
from search_operator.metrics_api.readings import Encoders
from search_operator.metrics_api.registration import (
    API_SERVICE_NAME,
    LABELS,
    OLDER_API_SERVICE_NAME,
    OWNER,
    SERVICE,
    Correct,
    Create,
    Leave,
    Remove,
    Seen,
    Wish,
    decide,
    owner_reference,
)
from search_operator.run import metrics

log = logging.getLogger(__name__)

SECRET_NAME = "semantic-search-operator-metrics-tls"  # noqa: S105
AT_REST_SECONDS = 30.0
IN_TROUBLE_SECONDS = 5.0
_CONNECTIONS = 256


@dataclass(frozen=True)
class Standing:
    """How it goes here: whether this process serves, and what keeps the cluster from asking it; empty if nothing does."""

    serving: bool = False
    problem: str = ""


class CannotServe(Exception):
    """Something is missing that another replica, or a person, must bring; says what."""


@dataclass
class MetricsApi:
    """`needed` says whether an index is there whose autoscaler could use it; `leading`, whether this process may write.

    `registered` is called after a change of the APIService.
    """

    api: KubernetesApi
    pods_of: PodsOf
    leading: Callable[[], bool]
    needed: Callable[[], bool]
    namespace: str
    registered: Callable[[], None] = lambda: None
    on: bool = True
    port: int = 6443
    at_rest_seconds: float = AT_REST_SECONDS
    in_trouble_seconds: float = IN_TROUBLE_SECONDS
    standing: Standing = Standing()
    _listener: Listener | None = field(default=None, repr=False)
    _trust: Trust | None = None
    _look_again_soon: bool = False

    @property
    def host(self) -> str:
        """The name by which the API server calls us."""
        return f"{SERVICE}.{self.namespace}.svc"

    @property
    def bound_port(self) -> int:
        """The port that is listened on."""
        assert self._listener is not None, "nothing listens yet"
        return self._listener.bound_port

    async def run(self) -> None:
        """Serve, and keep everything right, until cancelled; whatever fails, the operator goes on."""
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as http:
            self._listener = Listener(application(self.pods_of, Encoders(http), self._trusted), self.port)
            try:
                while True:
                    state = self._state()
                    await self._try()
                    await self._rest(state)
            finally:
                await self._listener.close()

    def _trusted(self) -> Trust:
        assert self._trust is not None, "nothing is served before somebody is trusted"
        return self._trust

    def _state(self) -> tuple[bool, bool]:
        return self.leading(), self.needed()

    async def _rest(self, state: tuple[bool, bool]) -> None:
        """Until it is time to look again, or until this process leads or is needed, which it was not."""
        rest = self.in_trouble_seconds if self._look_again_soon else self.at_rest_seconds
        while rest > 0 and self._state() == state:
            await asyncio.sleep(min(1.0, rest))
            rest -= 1.0

    async def _try(self) -> None:
        self._look_again_soon = True
        try:
            problem = await self._keep()
            self._look_again_soon = False
        except CannotServe as why:
            problem = str(why)
        except ConflictError:
            # Another replica has just written it: look again soon.
            problem = "another replica is at work"
        except DynamicApiError as error:
            problem = f"the API server refuses: {str(error.summary())[:300]}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("the metrics API could not be kept")
            problem = f"{type(error).__name__}: {error}"
        self._say(Standing(self._showing() is not None, problem))

    def _say(self, standing: Standing) -> None:
        if standing != self.standing:
            if standing.problem:
                log.warning("the metrics API: %s", standing.problem)
            elif standing.serving:
                log.info("the metrics API is served on port %d", self.port)
        self.standing = standing

    def _showing(self) -> ServingCertificate | None:
        return self._listener.showing if self._listener else None

    async def _keep(self) -> str:
        """Serve, then see to the APIService if this process leads; returns what stands in the way."""
        held: ServingCertificate | None = None
        if self.on:
            owner = await self._owner_uid() if self.leading() else ""
            held = await self._certificate(owner)
            await self._serve(held)
        else:
            owner = ""
        in_the_way = await self._register(held, owner) if self.leading() else ""
        return in_the_way if self.on else "switched off by METRICS_API=off"

    async def _serve(self, held: ServingCertificate) -> None:
        published = await self.api.get(CONFIG_MAP, callers.NAMESPACE, callers.CONFIG_MAP)
        try:
            self._trust = trust_of(published)
        except ValueError as error:
            raise CannotServe(str(error)) from None
        assert self._listener is not None
        if await self._listener.show(held, self._trust):
            metrics.METRICS_API_CERTIFICATE_ENDS.set(held.ends.timestamp())

    async def _certificate(self, owner_uid: str) -> ServingCertificate:
        live = await self.api.get(SECRET, self.namespace, SECRET_NAME)
        held, now = certificate_in(live), datetime.now(UTC)
        why = due(held, self.host, now)
        if why and not self.leading():
            if held is None:
                raise CannotServe("waiting for the leader to make a serving certificate")
            # It is the leader's to renew; until then the old one does, if it can be read at all.
            return held
        if not why:
            assert held is not None
            return held
        log.info("a serving certificate for the metrics API is made: %s", why)
        made = renewed(held, self.host, now)
        data = {"data": secret_data(made)}
        if live is None:
            owners = {"ownerReferences": [owner_reference(owner_uid)]} if owner_uid else {}
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": SECRET_NAME, "namespace": self.namespace, "labels": LABELS, **owners},
                **data,
            }
            await self.api.create(SECRET, self.namespace, body)
        else:
            meta = {"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}}
            await self.api.merge(SECRET, self.namespace, SECRET_NAME, meta | data)
        return made

    async def _owner_uid(self) -> str:
        try:
            owner = await self.api.get(CLUSTER_ROLE, "", OWNER)
        except ForbiddenError:
            return ""
        return str(owner["metadata"]["uid"]) if owner else ""

    async def _register(self, held: ServingCertificate | None, owner_uid: str) -> str:
        newer = await self.api.get(API_SERVICE, "", API_SERVICE_NAME)
        older = await self.api.get(API_SERVICE, "", OLDER_API_SERVICE_NAME) if self.on else None
        wish = Wish(self.on, self.needed(), self.namespace, held.authorities if held else "")
        match decide(Seen(newer, older, owner_uid), wish):
            case Leave(why):
                return why
            case Create(body):
                log.info("%s is made: nobody serves it", API_SERVICE_NAME)
                await self.api.create(API_SERVICE, "", body)
            case Correct(reason, body):
                log.info("%s is corrected: %s", API_SERVICE_NAME, reason)
                await self.api.merge(API_SERVICE, "", API_SERVICE_NAME, body)
            case Remove(reason, uid):
                log.info("%s is removed: %s", API_SERVICE_NAME, reason)
                await self.api.delete(API_SERVICE, "", API_SERVICE_NAME, uid)
        self.registered()
        return ""
