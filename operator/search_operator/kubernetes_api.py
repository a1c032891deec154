"""Writes and reads of the Kubernetes API through the official client's dynamic requests, without discovery."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError, NotFoundError

FIELD_MANAGER = "semantic-search-operator"
REQUEST_TIMEOUT_SECONDS = 30
Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Where a kind lives in the API: its group/version and its plural."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object, or an object's subresource; all namespaces when it is empty."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        parts = [root + self.api_version]
        parts += ["namespaces", namespace] if namespace else []
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


INDEX = Kind("semanticsearch.io/v1alpha1", "SemanticSearchIndex", "semanticsearchindexes")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
CHILD_KINDS = (
    CONFIG_MAP,
    Kind("v1", "Service", "services"),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("apps/v1", "Deployment", "deployments"),
    Kind("batch/v1", "CronJob", "cronjobs"),
    Kind("batch/v1", "Job", "jobs"),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("networking.k8s.io/v1", "Ingress", "ingresses"),
)
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
OPTIONAL_KINDS = (HTTP_ROUTE, SCALED_OBJECT)
"""Children of kinds that not every cluster serves: listed where they can be, looked at where they are asked for, never
watched, for a watch of what is not served fails for ever."""
POD = Kind("v1", "Pod", "pods")
NODE = Kind("v1", "Node", "nodes")
SECRET = Kind("v1", "Secret", "secrets")
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
API_SERVICE = Kind("apiregistration.k8s.io/v1", "APIService", "apiservices")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles")
_BY_NAME = {kind.kind: kind for kind in (INDEX, *CHILD_KINDS, *OPTIONAL_KINDS, POD, SECRET, EVENT, LEASE)}


class KubernetesApi:
    """The API server as this operator uses it. Every call has a deadline and raises DynamicApiError on refusal."""

    def __init__(self, client: ApiClient) -> None:
        self._dynamic = DynamicClient(client)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None when there is none."""
        try:
            return await self._request("get", kind.path(namespace, name))
        except NotFoundError:
            return None

    async def serves(self, kind: Kind) -> bool:
        """Whether the API server knows the kind in that version."""
        return kind.plural in await self.resources(kind.api_version)

    async def resources(self, api_version: str) -> frozenset[str]:
        """Names of the resources of a group/version, subresources (`pods/metric`) included; none where it is unknown."""
        try:
            known = await self._request("get", f"/apis/{api_version}")
        except NotFoundError:
            return frozenset()
        return frozenset(resource["name"] for resource in known.get("resources") or ())

    async def list(
        self, kind: Kind, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
    ) -> list[Object]:
        """All objects of a kind, with the apiVersion and kind that list items lack."""
        answer = await self._request(
            "get",
            kind.path(namespace),
            label_selector=label_selector or None,
            field_selector=field_selector or None,
        )
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in answer["items"]]

    async def apply(self, body: Mapping[str, Any], subresource: str = "") -> Object:
        """Server-side apply with our field manager; takes fields over from whoever set them."""
        kind, meta = _BY_NAME[body["kind"]], body["metadata"]
        path = kind.path(meta["namespace"], meta["name"], subresource)
        try:
            return await self._apply(path, body)
        except DynamicApiError as error:
            if error.status != 422 or kind.kind != "Service":
                raise
        # A Service's port edited by hand keeps its merge key, and apply then answers "Duplicate value" for ever.
        await self.merge(kind, meta["namespace"], meta["name"], {"spec": {"ports": body["spec"]["ports"]}})
        return await self._apply(path, body)

    async def _apply(self, path: str, body: Mapping[str, Any]) -> Object:
        return await self._request(
            "patch",
            path,
            body=body,
            content_type="application/apply-patch+yaml",
            field_manager=FIELD_MANAGER,
            force_conflicts=True,
        )

    async def merge(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> Object:
        """JSON merge patch; put metadata.resourceVersion into the body to make it conditional (409 on a race)."""
        return await self._request(
            "patch",
            kind.path(namespace, name),
            body=body,
            content_type="application/merge-patch+json",
            field_manager=FIELD_MANAGER,
        )

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> Object:
        """Create an object; raises ConflictError when it exists."""
        return await self._request("post", kind.path(namespace), body=body, field_manager=FIELD_MANAGER)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this object (by uid), its dependents in the background; fine when it is gone already."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            await self._request("delete", kind.path(namespace, name), body=options)
        except NotFoundError:
            return

    async def _request(self, method: str, path: str, **params: Any) -> Object:
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            answer = await self._dynamic.request(method, path, **params)
        return dict(answer.to_dict())


def kind_named(name: str) -> Kind:
    """The Kind that goes by a `kind:` name; KeyError for one that this operator does not handle."""
    return _BY_NAME[name]
