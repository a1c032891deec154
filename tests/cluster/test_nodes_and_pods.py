"""On a real API server: free devices are counted node by node, and pods are nudged, even one that is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from search_operator.act.execute import Actor
from search_operator.decide.steps import NudgeGateway, Plan
from search_operator.kubernetes_api import KubernetesApi
from search_operator.milvus_api import MilvusPool
from search_operator.observe.cache import Cache
from search_operator.observe.capacity import CapacityReader
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.observation import Problem
from search_operator.observe.workloads import pod_view

from tests.testbed.apiserver import ApiServer
from tests.unit.operator_core.builders import index

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

GPU = "nvidia.com/gpu"
T4 = {"accelerator": "nvidia-tesla-t4"}
# Milvus is not part of this: without its Secret it is not asked.
NO_MILVUS = StoreCredentials(problem=Problem("SecretMissing", "not here"))
T = TypeVar("T")


def asked(server: ApiServer, work: Callable[[KubernetesApi], Awaitable[T]]) -> T:
    """`work` with the operator's own client."""

    async def run() -> T:
        configuration = kubernetes_client.Configuration()
        await kubernetes_config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
        async with kubernetes_client.ApiClient(configuration) as client:
            return await work(KubernetesApi(client))

    return asyncio.run(run())


def create(server: ApiServer, *bodies: dict[str, Any]) -> None:
    server.ask("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))


def patch_status(server: ApiServer, what: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    server.ask("-n", "search", "patch", what, name, "--subresource=status", "--type=merge", "-p", patch)


def node(name: str, labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def pod(name: str, on: str, gpus: int) -> dict[str, Any]:
    labels = {"semanticsearch.io/index": "products"}
    container: dict[str, Any] = {"name": "c", "image": "registry.example/none:1"}
    if gpus:
        container["resources"] = {"limits": {GPU: str(gpus)}}
    meta = {"name": name, "namespace": "search", "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"nodeName": on, "containers": [container]},
    }


@pytest.fixture
def nodes(apiserver: ApiServer) -> Iterator[ApiServer]:
    """Two open T4 nodes with 4 devices each, and three that do not count: of another kind, tainted, cordoned."""
    tainted = [{"key": "team", "value": "ads", "effect": "NoSchedule"}]
    made = {
        "one": node("one", T4),
        "two": node("two", T4),
        "other": node("other", {"accelerator": "nvidia-l4"}),
        "taken": node("taken", T4, taints=tainted),
        "closed": node("closed", T4, unschedulable=True),
    }
    create(apiserver, *made.values())
    for name in made:
        # The API server taints new nodes until their kubelet reports; no kubelet will.
        apiserver.ask("taint", "node", name, "node.kubernetes.io/not-ready:NoSchedule-")
        patch_status(apiserver, "node", name, {"allocatable": {GPU: "4"}, "capacity": {GPU: "4"}})
    yield apiserver
    apiserver.ask("-n", "search", "delete", "pod", "--all", "--force", "--grace-period=0")
    apiserver.ask("delete", "node", *made)


def test_free_devices_are_counted_where_encoders_may_run(nodes: ApiServer) -> None:
    create(nodes, pod("a", "one", 3), pod("b", "one", 0), pod("done", "two", 4), pod("c", "taken", 1))
    patch_status(nodes, "pod", "done", {"phase": "Succeeded"})
    of = index("production")

    async def look(api: KubernetesApi) -> tuple[int | None, int | None]:
        found = await CapacityReader(api, MilvusPool()).look(of, NO_MILVUS)
        return found.gpus_total, found.gpus_free

    assert asked(nodes, look) == (8, 5)


def test_pods_are_nudged_and_one_that_is_gone_is_no_failure(nodes: ApiServer) -> None:
    create(nodes, pod("gateway-1", "one", 0), pod("gateway-2", "two", 0))
    of, cache = index("production"), Cache()
    steps = tuple(NudgeGateway("moved", f"gateway-{number}", "abc") for number in (1, 2, 3))

    async def nudge(api: KubernetesApi) -> int:
        actor = Actor(api, MilvusPool(), cache, lambda: True)
        outcome = await actor.execute(Plan(steps), of, NO_MILVUS)
        assert outcome.failures == ()
        return outcome.done

    assert asked(nodes, nudge) == 3
    # The operator knows of its own write at once, so that its watch wakes nobody.
    assert {view.name: view.nudged for view in map(pod_view, cache.pods(("search", "products")))} == {
        "gateway-1": "abc",
        "gateway-2": "abc",
    }
