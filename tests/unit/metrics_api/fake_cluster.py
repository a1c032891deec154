"""A fake API server: objects by path with resource versions, and rights that can be taken away."""

from __future__ import annotations

import copy
import json
from typing import Any

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic.exceptions import api_exception
from search_operator.kubernetes_api import Kind

from tests.unit.metrics_api.front_proxy import ClientAuthority

Object = dict[str, Any]


class FakeCluster:
    """What MetricsApi needs of KubernetesApi; a ClusterRole and a published front proxy are there from the start."""

    def __init__(self, authority: ClientAuthority) -> None:
        self.objects: dict[str, Object] = {}
        self.forbidden: set[tuple[str, str]] = set()
        self.writes: list[tuple[str, str]] = []
        self._version = 0
        self.put(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/semantic-search-operator",
            {"metadata": {"name": "semantic-search-operator"}},
        )
        self.publish(authority)

    def publish(self, authority: ClientAuthority) -> None:
        """This front proxy from now on."""
        data = {
            "requestheader-client-ca-file": authority.pem,
            "requestheader-allowed-names": json.dumps(["front-proxy"]),
        }
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        self.put(path, {"metadata": {}, "data": data})

    def put(self, path: str, body: Object) -> Object:
        """Keep an object as the API server would: with a version, and a uid of its own."""
        self._version += 1
        body = copy.deepcopy(body)
        body["metadata"] |= {"resourceVersion": str(self._version)}
        body["metadata"].setdefault("uid", f"uid-{self._version}")
        self.objects[path] = body
        return copy.deepcopy(body)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        self._may("get", kind)
        return copy.deepcopy(self.objects.get(kind.path(namespace, name)))

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        self._may("create", kind)
        path = kind.path(namespace, body["metadata"]["name"])
        if path in self.objects:
            raise _refused(409, f"{path} already exists")
        self.writes.append(("create", body["metadata"]["name"]))
        return self.put(path, body)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self._may("patch", kind)
        path = kind.path(namespace, name)
        live = self.objects[path]
        if body["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise _refused(409, "it has been changed")
        self.writes.append(("patch", name))
        return self.put(path, _merged(live, body))

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        self._may("delete", kind)
        path = kind.path(namespace, name)
        assert self.objects[path]["metadata"]["uid"] == uid
        self.writes.append(("delete", name))
        del self.objects[path]

    def _may(self, verb: str, kind: Kind) -> None:
        if (verb, kind.plural) in self.forbidden:
            raise _refused(403, f"{kind.plural} is forbidden: cannot {verb}")


def _refused(status: int, message: str) -> Exception:
    error = ApiException(status=status, reason="")
    error.body = json.dumps({"kind": "Status", "message": message})
    found: Exception = api_exception(error)
    return found


def _merged(live: Object, change: Object) -> Object:
    merged = dict(live)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merged(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged
