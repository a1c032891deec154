"""The product on a real cluster: operator and stores installed, indexes applied, followed and looked into."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import yaml
from elasticsearch import Elasticsearch
from pymilvus import MilvusClient
from search_plane.release.record import alias_name

from demo.cluster_access import get, rolled_out, service_url, watch
from demo.index_status import condition, is_ready, why_not_ready
from demo.parts import (
    DOCKERFILES,
    GPUS,
    INSTALL,
    OLDER_WEIGHTS_IMAGE,
    OPERATOR,
    OPERATOR_IMAGE,
    PLANE_IMAGE,
    REPOSITORY,
    RESOURCE,
    SAMPLE,
    SEARCH_IMAGES,
    SYSTEM_NAMESPACE,
    WEIGHTS_IMAGE,
)
from sample_catalogue import load
from tests.testbed.cluster import (
    Cluster,
    TestbedError,
    bring_up,
    build_image,
    cache_root,
    load_image,
    patch_gpu,
)
from tests.testbed.cluster.images import archives_of
from tests.testbed.crd_serving import await_served
from tests.testbed.stores import Stores
from tests.testbed.weights.bge import bge_weights, older_bge_weights
from tests.testbed.weights.context import weights_context

Object = dict[str, Any]

NAMESPACE = "search-tests"
# Elasticsearch indices of these tests, so that those left by a broken run can be told from others.
CATALOGUE_PREFIX = "bed-"
OPERATOR_USER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}"
READY_SECONDS = 300.0
# The indexes of the whole session, and the products in their catalogues.
SERVED, SERVED_PRODUCTS = "served", 250
REFRESHED, REFRESHED_PRODUCTS = "refreshed", 200
ALL_CONDITIONS = {
    "Ready",
    "Reconciling",
    "Stalled",
    "EncoderReady",
    "VectorStoreReady",
    "CatalogueReady",
    "SearchReady",
    "Autoscaling",
    "Promotable",
    "WithinBudget",
    "BackedUp",
    "Paused",
}


def install(cluster: Cluster) -> None:
    """Images built and loaded, GPUs on offer, the demo's operator rolled out; a new build takes over."""
    patch_gpu(cluster, 2 * GPUS)
    for image, weights in ((WEIGHTS_IMAGE, bge_weights()), (OLDER_WEIGHTS_IMAGE, older_bge_weights())):
        context = cache_root() / "weights" / f"image-context-{image.rpartition(':')[2]}"
        build_image(image, weights_context(weights.path, context))
    for image, dockerfile in DOCKERFILES.items():
        build_image(image, REPOSITORY, dockerfile=dockerfile, progress=print)
    if cluster.kind != "given":
        for image in (*SEARCH_IMAGES, OLDER_WEIGHTS_IMAGE):
            load_image(cluster, image)
    items = list(yaml.safe_load_all(cluster.ask("kustomize", str(INSTALL))))
    builds = {image: archives_of(image)[-1].stem for image in (OPERATOR_IMAGE, PLANE_IMAGE)}
    for item in items:
        if item["kind"] == "Deployment":
            # The tag stays the same when the image does not; the note makes the new one roll out.
            item["spec"]["template"]["metadata"]["annotations"] = {"tests/build": builds[OPERATOR_IMAGE]}
    bundle = {"apiVersion": "v1", "kind": "List", "items": items}
    cluster.ask("apply", "-f", "-", stdin=json.dumps(bundle))
    await_served(cluster, RESOURCE)
    rolled_out(cluster, SYSTEM_NAMESPACE, OPERATOR, 180)


def the_cluster() -> Cluster:
    """The cluster of these tests; made when it is not there."""
    return bring_up("test", progress=print)


@dataclass
class Bed:
    """Cluster, stores as this machine reaches them (`local`), and as pods do (`inside`)."""

    cluster: Cluster
    local: Stores
    inside: Stores

    def k(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """kubectl in the tests' namespace."""
        return self.cluster.ask("-n", NAMESPACE, *arguments, stdin=stdin, timeout=timeout)

    @contextmanager
    def elasticsearch(self) -> Iterator[Elasticsearch]:
        """A patient client."""
        client = Elasticsearch(
            self.local.elasticsearch_url, request_timeout=60, retry_on_timeout=True, max_retries=5
        )
        with client:
            yield client

    @contextmanager
    def milvus(self) -> Iterator[MilvusClient]:
        """A connection of its own, for Milvus may have been away since the last one."""
        client = MilvusClient(self.local.milvus_uri, timeout=30)
        try:
            yield client
        finally:
            client.close()

    def load_catalogue(self, name: str, count: int, **how: Any) -> str:
        """`count` products in a fresh Elasticsearch index of that name; returns the index's full name."""
        index = CATALOGUE_PREFIX + name
        with self.elasticsearch() as client:
            client.indices.delete(index=index, ignore_unavailable=True)
            load(client, index, count, **how)
        return index

    def resource(self, name: str, *changes: Mapping[str, Any]) -> Object:
        """The demo's sample as index `name` on catalogue `bed-<name>`, with small requests and `changes`."""
        body: Object = yaml.safe_load(SAMPLE.read_text())
        body["metadata"] = {"name": name, "namespace": NAMESPACE}
        small = {
            "spec": {
                "encoder": {
                    "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
                    "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
                },
                "vectorStore": {"milvus": {"endpoint": self.inside.milvus_uri.removeprefix("http://")}},
                "catalogue": {
                    "elasticsearch": {
                        "endpoint": self.inside.elasticsearch_url,
                        "index": CATALOGUE_PREFIX + name,
                    }
                },
                "search": {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}},
                "refresh": {"parallelism": 1},
                # All share two processors here; the gate itself is tested elsewhere.
                "rollout": {"gates": {"maxP95": "5s"}},
            }
        }
        for change in (small, *changes):
            body = merged(body, change)
        return body

    def apply(self, body: Mapping[str, Any]) -> None:
        """kubectl apply, as people do it."""
        self.k("apply", "-f", "-", stdin=json.dumps(body))

    def patch(self, name: str, change: Mapping[str, Any]) -> None:
        """A merge patch of the index."""
        self.k("patch", "ssi", name, "--type=merge", "-p", json.dumps(change))

    def index(self, name: str) -> Object:
        """The index as it is now."""
        found = get(self.cluster, RESOURCE, name, NAMESPACE)
        assert found is not None, f"there is no index {name}"
        return found

    def follow(
        self,
        name: str,
        until: Callable[[Object], object],
        what: str,
        seconds: float = READY_SECONDS,
        kind: str = RESOURCE,
        namespace: str = NAMESPACE,
    ) -> Object:
        """Watch an object until `until` holds for it; AssertionError naming `what` when it does not in time."""
        last: Object = {}
        for last in watch(self.cluster, kind, name, namespace, seconds):
            if until(last):
                return last
        told = why_not_ready(last or None) if kind == RESOURCE else json.dumps(last.get("status"))
        raise AssertionError(f"waited {seconds:.0f} s for {kind} {name}: {what}; last seen: {told}")

    def await_ready(self, name: str, seconds: float = READY_SECONDS) -> Object:
        """Wait until the present spec is served."""
        return self.follow(name, is_ready, "to be Ready", seconds)

    def await_condition(
        self, name: str, kind: str, status: str, reason: str, seconds: float = 20.0
    ) -> Object:
        """Wait until a condition says that; returns the condition."""

        def says(index: Object) -> bool:
            told = condition(index, kind)
            return (told.get("status"), told.get("reason")) == (status, reason)

        found = self.follow(name, says, f"{kind}={status} ({reason})", seconds)
        return dict(condition(found, kind))

    def children(self, name: str) -> list[Object]:
        """All objects that the index controls, by the cluster's own owner references."""
        kinds = (
            "deployments,services,configmaps,serviceaccounts,networkpolicies,"
            "horizontalpodautoscalers,poddisruptionbudgets,jobs,cronjobs,ingresses"
        )
        found = json.loads(self.k("get", kinds, "-l", f"semanticsearch.io/index={name}", "-o", "json"))
        return list(found["items"])

    def encoder_name(self, name: str) -> str:
        """Name of the index's encoder Deployment."""
        component = f"semanticsearch.io/index={name},app.kubernetes.io/component=encoder"
        return (
            self.k("get", "deployments", "-l", component, "-o", "name")
            .strip()
            .removeprefix("deployment.apps/")
        )

    def pods(self, name: str, component: str) -> list[Object]:
        """Pods of one component of an index."""
        selector = f"semanticsearch.io/index={name},app.kubernetes.io/component={component}"
        found = json.loads(self.k("get", "pods", "-l", selector, "-o", "json"))
        return list(found["items"])

    @contextmanager
    def gateway(self, name: str) -> Iterator[httpx.Client]:
        """HTTP to the index's gateway."""
        with (
            service_url(self.cluster, NAMESPACE, f"{name}-gateway") as url,
            httpx.Client(base_url=url, timeout=10, trust_env=False) as client,
        ):
            yield client

    def collections(self, name: str) -> list[str]:
        """The index's collections in Milvus."""
        with self.milvus() as client:
            found: Sequence[str] = client.list_collections()
        return sorted(c for c in found if c.startswith(f"{alias_name(NAMESPACE, name)}_r_"))

    def ids_in_milvus(self, collection: str) -> set[str]:
        """Every id of a collection, read strongly."""
        with self.milvus() as client:
            rows = client.query(
                collection, filter='id != ""', output_fields=["id"], consistency_level="Strong", limit=16000
            )
        return {row["id"] for row in rows}

    def ids_in_catalogue(self, index: str) -> set[str]:
        """Every document's id."""
        with self.elasticsearch() as client:
            client.indices.refresh(index=index)
            found = client.search(index=index, size=10000, source=False)
        return {hit["_id"] for hit in found["hits"]["hits"]}

    def delete(self, name: str, seconds: float = 120.0) -> None:
        """Delete an index and wait until it and what it owned are gone."""
        self.k("delete", "ssi", name, "--ignore-not-found", f"--timeout={seconds:.0f}s", timeout=seconds + 10)

    def remove(self, name: str) -> None:
        """Delete an index and its catalogue, whatever is in the way."""
        try:
            self.delete(name)
        except TestbedError:
            # Whatever it waits for, leaving its data behind lets it go.
            self.patch(name, {"spec": {"deletionPolicy": "Retain"}})
            self.delete(name)
        with self.elasticsearch() as client:
            client.indices.delete(index=CATALOGUE_PREFIX + name, ignore_unavailable=True)

    def operator_requests(self, since: float) -> list[Object]:
        """The operator's write requests that began after `since` (time.time()), Leases apart, as audit events."""
        assert self.cluster.audit_log is not None
        found = []
        with self.cluster.audit_log.open(encoding="utf-8") as lines:
            for line in lines:
                # Most lines are others'; and the last one may still be being written.
                if OPERATOR_USER not in line or not line.endswith("\n"):
                    continue
                event = json.loads(line)
                if (
                    event["user"]["username"] == OPERATOR_USER
                    and event["stage"] == "ResponseComplete"
                    and event["objectRef"]["resource"] != "leases"
                    and moment(event) >= since
                ):
                    found.append(event)
        return found

    def operator_writes(self, since: float) -> list[str]:
        """The same, in words."""
        return [
            f"{event['requestReceivedTimestamp']} {event['verb']} {event['requestURI'].partition('?')[0]}"
            for event in self.operator_requests(since)
        ]

    def operator_pods(self) -> list[Object]:
        """The operator's pods that aren't being deleted."""
        found = json.loads(
            self.cluster.ask(
                *("-n", SYSTEM_NAMESPACE, "get", "pods", "-o", "json"),
                *("-l", f"app.kubernetes.io/name={OPERATOR}"),
            )
        )
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    def kill_operator(self) -> None:
        """As a lost node does it: no grace."""
        pods = [pod["metadata"]["name"] for pod in self.operator_pods()]
        self.cluster.ask(
            *("-n", SYSTEM_NAMESPACE, "delete", "pods", *pods, "--force", "--grace-period=0", "--wait=false")
        )


def moment(event: Mapping[str, Any]) -> float:
    """When a request of the audit log came in, as time.time() tells it."""
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> Object:
    """A JSON merge patch (RFC 7386) applied to a copy; None removes a key."""
    result = copy.deepcopy(dict(base))
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def eventually(holds: Callable[[], object], what: str, seconds: float, every: float = 0.5) -> None:
    """For what has no watch: ask again and again, AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(every)
