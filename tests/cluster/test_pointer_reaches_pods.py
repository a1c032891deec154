"""A switch within seconds leans on this: an annotation on a pod makes its kubelet bring a changed ConfigMap at once."""

from __future__ import annotations

import asyncio
import functools
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from search_operator.kubernetes_api import POD, KubernetesApi
from search_operator.render.child import POINTER_ANNOTATION

from demo.parts import PLANE_IMAGE
from tests.cluster.index_bed import NAMESPACE, Bed
from tests.testbed.cluster import Cluster
from tests.testbed.cluster.commands import wait_until

pytestmark = pytest.mark.cluster

NAME = "pointer-watchers"
PODS = 3
CHANGES = 4
# By itself a kubelet looks every 60-90 s (the testbed's own node: 10-15 s), so that 4 rounds are not this early by luck.
SOON_SECONDS = 5.0
# Prints each content that the file has, as soon as it has it.
WATCHER = """
import pathlib, time
file, last = pathlib.Path("/pointer/release.json"), None
while True:
    if (now := file.read_text()) != last:
        print(last := now, flush=True)
    time.sleep(0.02)
"""


def pointer(content: str, namespace: str) -> dict[str, Any]:
    """The ConfigMap with that content."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": namespace}}
    return body | {"data": {"release.json": content}}


def watchers(pods: int) -> str:
    """Pods that mount the ConfigMap as gateways do, and say what they read."""
    secure = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "watcher",
        "image": PLANE_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", WATCHER],
        "securityContext": secure,
        "volumeMounts": [{"name": "pointer", "mountPath": "/pointer"}],
    }
    volumes = [{"name": "pointer", "configMap": {"name": NAME}}]
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{NAME}-{number}", "labels": {"app": NAME}},
            "spec": spec,
        }
        for number in range(pods)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


class Arrivals:
    """The pods that wait for the pointer, and what has arrived in them."""

    def __init__(self, cluster: Cluster, namespace: str, pods: int) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.names = [f"{NAME}-{number}" for number in range(pods)]

    def change(self, content: str, revision: str = "") -> None:
        """Write the ConfigMap and, given a revision, annotate every pod in the same breath, as the operator does."""
        asyncio.run(self._change(content, revision))

    async def _change(self, content: str, revision: str) -> None:
        configuration = kubernetes_client.Configuration()
        await kubernetes_config.load_kube_config(
            str(self.cluster.kubeconfig), client_configuration=configuration
        )
        patch = {"metadata": {"annotations": {POINTER_ANNOTATION: revision}}}
        async with kubernetes_client.ApiClient(configuration) as client:
            api = KubernetesApi(client)
            await api.apply(pointer(content, self.namespace))
            if revision:
                await asyncio.gather(*(api.merge(POD, self.namespace, name, patch) for name in self.names))

    def has(self, name: str, content: str) -> bool:
        """Whether that pod has read that content."""
        return content in self.cluster.ask("-n", self.namespace, "logs", name).split()

    def await_all(self, content: str) -> float:
        """Seconds from now until every pod had that content; TestbedError when one has it too late."""
        began = time.monotonic()
        for name in self.names:
            left = max(0.0, began + SOON_SECONDS - time.monotonic())
            wait_until(
                functools.partial(self.has, name, content), what=f"{name} to read {content}", timeout=left
            )
        return time.monotonic() - began


@pytest.fixture
def arrivals(bed: Bed) -> Iterator[Arrivals]:
    """Pods that run and have read the first content."""
    cluster = bed.cluster
    made = Arrivals(cluster, NAMESPACE, PODS)
    made.change("first")
    cluster.ask("-n", NAMESPACE, "create", "-f", "-", stdin=watchers(PODS))
    try:
        ready = ("pod", "-l", f"app={NAME}", "--for=condition=Ready", "--timeout=60s")
        cluster.ask("-n", NAMESPACE, "wait", *ready)
        for name in made.names:
            first = functools.partial(made.has, name, "first")
            wait_until(first, what=f"{name} to read the pointer", timeout=60)
        yield made
    finally:
        cluster.ask("-n", NAMESPACE, "delete", "pod", "-l", f"app={NAME}", "--wait=false")
        cluster.ask("-n", NAMESPACE, "delete", "configmap", NAME)


def test_an_annotation_on_a_pod_brings_a_changed_pointer_at_once(arrivals: Arrivals) -> None:
    for number in range(CHANGES):
        content = f"{number}-{uuid.uuid4().hex}"
        arrivals.change(content, revision=content)
        took = arrivals.await_all(content)
        print(f"the last of {PODS} pods had the pointer {took:.2f} s after the write")
