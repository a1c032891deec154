"""What the cluster has to scale by: the owner of custom.metrics.k8s.io, whether it knows our metric, and KEDA."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from search_operator.api.index import SemanticSearchIndex
from search_operator.kubernetes_api import API_SERVICE, SCALED_OBJECT, KubernetesApi
from search_operator.observe.cache import Cache, slim
from search_operator.observe.observation import ChildKey, Object, ScalingView
from search_operator.render.child import INDEX_LABEL, MANAGED_BY
from search_operator.render.scaler import INFLIGHT_TOKENS

GROUP = "custom.metrics.k8s.io"
# Ours is of the first; an HPA's controller takes either.
VERSIONS = ("v1beta2", "v1beta1")
KEPT_SECONDS = 60.0
# A source that was there and is missing for less than this is away for a moment: an adapter that restarts, an
# APIService that is applied anew.
BELIEVED_AFTER_SECONDS = 300.0
NEW = timedelta(minutes=2)
_LISTED = f"pods/{INFLIGHT_TOKENS}"


@dataclass
class ScalingReader:
    """Asks the API server at most every KEPT_SECONDS, for all indexes. Only the event loop touches it.

    `not_served` says what keeps the operator from serving the metrics API itself; empty if nothing does.
    """

    api: KubernetesApi
    not_served: Callable[[], str] = lambda: ""
    _view: ScalingView | None = None
    _asked: float | None = None
    _had: float | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> ScalingView:
        """The view, at most KEPT_SECONDS old."""
        async with self._asking:
            now = time.monotonic()
            if self._view is None or self._asked is None or now - self._asked >= KEPT_SECONDS:
                seen = await self._ask()
                if serves_tokens(seen):
                    self._had = now
                self._view = settled(seen, None if self._had is None else now - self._had)
                self._asked = now
            return self._view

    def forget(self) -> None:
        """Ask again at the next look, as after our own APIService was made."""
        self._asked = None

    async def _ask(self) -> ScalingView:
        view, keda = await asyncio.gather(self._metrics_api(), self._keda())
        return replace(view, keda=keda)

    async def _keda(self) -> bool:
        try:
            return await self.api.serves(SCALED_OBJECT)
        except (DynamicApiError, aiohttp.ClientError, TimeoutError):
            return self._view is not None and self._view.keda

    async def _metrics_api(self) -> ScalingView:
        try:
            for version in VERSIONS:
                if found := await self.api.get(API_SERVICE, "", f"{version}.{GROUP}"):
                    return await self._of(found, version)
        except (DynamicApiError, aiohttp.ClientError, TimeoutError) as error:
            return ScalingView("Unavailable", why=_brief(error))
        return ScalingView("Absent", why=self.not_served())

    async def _of(self, api_service: Object, version: str) -> ScalingView:
        """What an APIService that is there stands for."""
        view = registered(api_service)
        if view.metrics_api == "Unavailable":
            return view
        try:
            known = _LISTED in await self.api.resources(f"{GROUP}/{version}")
        except (DynamicApiError, aiohttp.ClientError, TimeoutError) as error:
            if view.metrics_api == "Ours" and _is_new(api_service):
                return view
            return replace(view, metrics_api="Unavailable", why=_brief(error))
        return replace(view, knows_metric=known)


def registered(api_service: Mapping[str, Any]) -> ScalingView:
    """Whose an APIService is, and whether the API server reaches what is behind it."""
    service = api_service["spec"].get("service") or {}
    owner = f"{service.get('namespace')}/{service.get('name')}" if service else "the API server itself"
    ours = is_our_api_service(api_service)
    told = {c.get("type"): c for c in api_service.get("status", {}).get("conditions") or ()}.get(
        "Available", {}
    )
    if told.get("status") == "False" and not (ours and _is_new(api_service)):
        return ScalingView(
            "Unavailable", owner=owner, why=f"{owner}: {told.get('message') or told.get('reason')}"
        )
    return ScalingView("Ours" if ours else "Theirs", owner=owner)


def is_our_api_service(api_service: Mapping[str, Any]) -> bool:
    """Whether the operator made it, by its label and the Service that it names."""
    labels = api_service["metadata"].get("labels") or {}
    service = api_service["spec"].get("service") or {}
    return MANAGED_BY.items() <= labels.items() and str(service.get("name")).startswith("semantic-search-")


def serves_tokens(view: ScalingView) -> bool:
    """Whether an HPA gets tokens in flight."""
    return view.metrics_api == "Ours" or (view.metrics_api == "Theirs" and view.knows_metric)


def settled(seen: ScalingView, had_seconds_ago: float | None) -> ScalingView:
    """What is believed: tokens that could be had a short while ago are away for the moment, not gone."""
    missing = seen.metrics_api == "Absent" or (seen.metrics_api == "Theirs" and not seen.knows_metric)
    if not missing or had_seconds_ago is None or had_seconds_ago >= BELIEVED_AFTER_SECONDS:
        return seen
    gone = (
        "its APIService is gone"
        if seen.metrics_api == "Absent"
        else f"{seen.owner} has no {_LISTED} any more"
    )
    return replace(
        seen, metrics_api="Unavailable", why=f"{gone}; believed after {BELIEVED_AFTER_SECONDS:g} s"
    )


async def look_at_scaled_objects(
    api: KubernetesApi, cache: Cache, index: SemanticSearchIndex
) -> dict[ChildKey, Object]:
    """The index's ScaledObjects, which are not watched: asked for where there are any, or may be."""
    key = (index.namespace, index.name)
    cached = {k: live for k, live in cache.children(key).items() if k[0] == SCALED_OBJECT.kind}
    if not cached and not may_have_scaled_objects(index):
        return {}
    ours = ",".join(f"{k}={v}" for k, v in (MANAGED_BY | {INDEX_LABEL: index.name}).items())
    try:
        found = await api.list(SCALED_OBJECT, label_selector=ours, namespace=index.namespace)
    except DynamicApiError as error:
        # Not served any more, or not ours to see.
        if error.status not in (403, 404):
            raise
        found = []
    live = {(SCALED_OBJECT.kind, str(body["metadata"]["name"])): slim(body) for body in found}
    for name, gone in cached.items():
        if name not in live:
            cache.drop(gone)
    for body in live.values():
        cache.put(body)
    return live


def with_scaled_objects(
    children: Mapping[ChildKey, Object], scaled: Mapping[ChildKey, Object]
) -> dict[ChildKey, Object]:
    """The children with the ScaledObjects as they were just seen, in place of what was known of them."""
    return {key: live for key, live in children.items() if key[0] != SCALED_OBJECT.kind} | dict(scaled)


def may_have_scaled_objects(index: SemanticSearchIndex) -> bool:
    """Whether the spec lets KEDA scale it."""
    scaling = index.spec.encoder.autoscaling
    return scaling.mode == "keda" or scaling.prometheus_address is not None


def _is_new(api_service: Mapping[str, Any]) -> bool:
    """Whether it was made so short a while ago that it need not be reached yet."""
    made = datetime.fromisoformat(api_service["metadata"]["creationTimestamp"])
    return datetime.now(UTC) - made < NEW


def _brief(error: Exception) -> str:
    said = str(error.summary()) if isinstance(error, DynamicApiError) else f"{type(error).__name__}: {error}"
    return said[:300]
