"""What the cluster and Milvus have left for a second release. Asked only while one is on its way, and kept a while."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from kubernetes.utils.quantity import parse_quantity
from pymilvus.grpc_gen import milvus_pb2

from search_operator.api.derive import desired_release
from search_operator.api.encoder import Accelerator
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.kubernetes import Toleration
from search_operator.kubernetes_api import NODE, POD, KubernetesApi
from search_operator.milvus_api import CALL_SECONDS, MilvusPool, MilvusUnavailable
from search_operator.observe.book import Book
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.observation import Capacity

Object = dict[str, Any]
Count = tuple[int | None, int | None]
"""(in all, free); None where that is not known."""

KEPT_SECONDS = 30.0
KEPT_ANSWERS = 64
_NODES_AT_ONCE = 8
_UNKNOWN: Count = (None, None)
_LIVE = "status.phase!=Succeeded,status.phase!=Failed"


def worth_asking(index: SemanticSearchIndex, book: Book) -> bool:
    """Whether room for another release may matter in this pass: one is on its way, or asked for, or may be any time."""
    if index.being_deleted:
        return False
    told = (release.get("role") for release in index.status.get("releases", ()))
    if book.candidate is not None or "Candidate" in told:
        return True
    active = book.active.record if book.active else None
    return (
        active is None
        or index.spec.refresh.mode == "Full"
        or desired_release(index.spec, active.rebuild) != active.release
    )


@dataclass
class CapacityReader:
    """Counts free devices and free memory; every answer holds for KEPT_SECONDS. Only the event loop touches it."""

    api: KubernetesApi
    milvus: MilvusPool
    _kept: dict[tuple[object, ...], tuple[float, Count]] = field(default_factory=dict)

    async def look(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> Capacity:
        """What is left for this index: devices of its accelerator, memory of its Milvus."""
        gpus, memory = await asyncio.gather(self._devices(index), self._memory(index, credentials))
        return Capacity(*gpus, *memory)

    async def _devices(self, index: SemanticSearchIndex) -> Count:
        accelerator = index.spec.encoder.accelerator
        if accelerator.count == 0:
            return _UNKNOWN
        key = ("devices", accelerator.model_dump_json())
        if kept := self._fresh(key):
            return kept
        try:
            return self._keep(key, await self._count(accelerator))
        except (DynamicApiError, aiohttp.ClientError, TimeoutError):
            # Without the right to list nodes there is just no such check.
            return self._keep(key, _UNKNOWN)

    async def _count(self, accelerator: Accelerator) -> Count:
        selector = ",".join(f"{k}={v}" for k, v in sorted(accelerator.effective_node_selector().items()))
        nodes = await self.api.list(NODE, label_selector=selector)
        usable = [node for node in nodes if takes(node, accelerator.effective_tolerations())]
        gate = asyncio.Semaphore(_NODES_AT_ONCE)

        async def held(node: Object) -> int:
            # Of one node at a time: all pods of a large cluster would be tens of megabytes.
            on_it = f"spec.nodeName={node['metadata']['name']},{_LIVE}"
            async with gate:
                pods = await self.api.list(POD, field_selector=on_it)
            return sum(devices_of(pod, accelerator.resource) for pod in pods)

        offering = [node for node in usable if offered(node, accelerator.resource)]
        used = await asyncio.gather(*(held(node) for node in offering))
        offers = [offered(node, accelerator.resource) for node in offering]
        return sum(offers), sum(max(0, o - u) for o, u in zip(offers, used, strict=True))

    async def _memory(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> Count:
        if credentials.problem:
            return _UNKNOWN
        milvus = index.spec.vector_store.milvus
        key = ("memory", milvus.uri, hash(tuple(sorted(credentials.milvus.items()))))
        if kept := self._fresh(key):
            return kept
        try:
            return self._keep(key, await self.milvus.call(milvus, credentials, query_node_memory))
        except MilvusUnavailable:
            return self._keep(key, _UNKNOWN)

    def _fresh(self, key: tuple[object, ...]) -> Count | None:
        since, count = self._kept.get(key, (0.0, None))
        return count if count is not None and time.monotonic() - since < KEPT_SECONDS else None

    def _keep(self, key: tuple[object, ...], count: Count) -> Count:
        self._kept.pop(key, None)
        while len(self._kept) >= KEPT_ANSWERS:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (time.monotonic(), count)
        return count


def offered(node: Mapping[str, Any], resource: str) -> int:
    """Devices that a node has for pods."""
    return _devices(node.get("status", {}).get("allocatable", {}), resource)


def devices_of(pod: Mapping[str, Any], resource: str) -> int:
    """Devices that a pod holds, as the scheduler counts: its containers' sum, or the largest init container's."""
    containers, first = (
        [
            _devices(c.get("resources", {}).get("requests") or {}, resource)
            for c in pod["spec"].get(part) or ()
        ]
        for part in ("containers", "initContainers")
    )
    return max(sum(containers), max(first, default=0))


def takes(node: Mapping[str, Any], tolerations: Sequence[Toleration]) -> bool:
    """Whether the node takes pods that have these tolerations: it is not cordoned, and no taint keeps them off."""
    if node.get("spec", {}).get("unschedulable"):
        return False
    taints = [t for t in node.get("spec", {}).get("taints") or () if t["effect"] != "PreferNoSchedule"]
    return all(any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints)


def _tolerates(toleration: Toleration, taint: Mapping[str, str]) -> bool:
    if toleration.effect not in (None, taint["effect"]) or toleration.key not in (None, taint["key"]):
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == taint.get("value", "")


def _devices(amounts: Mapping[str, str], resource: str) -> int:
    return int(parse_quantity(amounts.get(resource, "0")))


def query_node_memory(client: Any) -> Count:
    """Bytes of all query nodes, and of those what they don't use, by Milvus' own system_info."""
    # pymilvus has no public call for it.
    stub = client._get_connection()._stub
    request = milvus_pb2.GetMetricsRequest(request=json.dumps({"metric_type": "system_info"}))
    return memory_in(stub.GetMetrics(request, timeout=CALL_SECONDS).response)


def memory_in(system_info: str) -> Count:
    """The query nodes' (memory in all, free) in bytes, as system_info tells; None where it tells nothing of them."""
    try:
        nodes = json.loads(system_info)["nodes_info"]
        hardware = [
            node["infos"]["hardware_infos"] for node in nodes if node["infos"].get("type") == "querynode"
        ]
        return _sums((int(h["memory"]), int(h["memory_usage"])) for h in hardware)
    except (ValueError, KeyError, TypeError):
        # Another version's answer: nothing is known then.
        return _UNKNOWN


def _sums(nodes: Iterable[tuple[int, int]]) -> Count:
    found = [(memory, used) for memory, used in nodes if memory > 0]
    if not found:
        return _UNKNOWN
    return sum(memory for memory, _ in found), sum(max(0, memory - used) for memory, used in found)
