"""The two stores in a cluster: deploying, waiting until they answer, outages, removal."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.testbed.cluster import Cluster, TestbedError, load_image
from tests.testbed.cluster.commands import wait_until
from tests.testbed.cluster.images import archives_of
from tests.testbed.cluster.toolchain import Progress
from tests.testbed.stores.images import build_images
from tests.testbed.stores.local_elasticsearch import is_green
from tests.testbed.stores.local_milvus import answers
from tests.testbed.stores.programs import silent

NAMESPACE = "stores"
MANIFESTS = Path(__file__).parent / "manifests"
READY_SECONDS = 180.0
MILVUS_PORT = 19530
ELASTICSEARCH_PORT = 9200

Store = Literal["milvus", "elasticsearch"]


@dataclass(frozen=True)
class Stores:
    """Addresses of both stores as pods of the cluster reach them."""

    milvus_uri: str = f"http://milvus.{NAMESPACE}.svc:{MILVUS_PORT}"
    elasticsearch_url: str = f"http://elasticsearch.{NAMESPACE}.svc:{ELASTICSEARCH_PORT}"


def deploy(cluster: Cluster, progress: Progress = silent) -> Stores:
    """Build, load and apply both stores, and wait until each has answered a real query.

    Run again it changes nothing and keeps the data, unless an image changed. With a given cluster
    (``KUBECONFIG``) the images must be where its nodes pull from. Raises TestbedError naming what did not
    answer, with the pod's last words.
    """
    for tag in build_images(progress):
        if cluster.kind != "given":
            progress(f"{tag}: loading")
            load_image(cluster, tag)
    cluster.ask("apply", "-f", "-", stdin=json.dumps(_manifests(cluster)))
    await_answer(cluster, "milvus", progress)
    await_answer(cluster, "elasticsearch", progress)
    return Stores()


def _manifests(cluster: Cluster) -> dict[str, Any]:
    """The manifests as one List; each pod names its image's digest, so that a rebuilt image is rolled out."""
    items = list(yaml.safe_load_all(cluster.ask("kustomize", str(MANIFESTS))))
    for item in items:
        if item["kind"] == "Deployment":
            pod = item["spec"]["template"]
            built = archives_of(pod["spec"]["containers"][0]["image"])[-1].stem
            pod["metadata"].setdefault("annotations", {})["test-stores/image"] = built
    return {"apiVersion": "v1", "kind": "List", "items": items}


def remove(cluster: Cluster) -> None:
    """Delete the stores with their data and wait until the namespace is gone; nothing if there is none."""
    cluster.ask("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s", timeout=100)


@contextlib.contextmanager
def reachable(cluster: Cluster) -> Iterator[Stores]:
    """Addresses of both stores as this machine reaches them, while the context lasts."""
    with (
        _reached(cluster, "milvus", MILVUS_PORT) as milvus,
        _reached(cluster, "elasticsearch", ELASTICSEARCH_PORT) as elasticsearch,
    ):
        yield Stores(f"http://{milvus}", f"http://{elasticsearch}")


def await_answer(cluster: Cluster, store: Store, progress: Progress = silent) -> None:
    """Wait until the store's pod is ready and a real query from this machine succeeded.

    Raises TestbedError after 180 s, with the pod's events and last words.
    """
    began = time.monotonic()
    try:
        rollout = ("-n", NAMESPACE, "rollout", "status", f"deployment/{store}")
        cluster.ask(*rollout, f"--timeout={READY_SECONDS:.0f}s", timeout=READY_SECONDS + 10)
        port = MILVUS_PORT if store == "milvus" else ELASTICSEARCH_PORT
        asks = answers if store == "milvus" else is_green
        with _reached(cluster, store, port) as address:
            wait_until(
                lambda: asks(f"http://{address}"), what=f"{store} to answer a query", timeout=60, every=0.2
            )
    except TestbedError as error:
        raise TestbedError(f"{store} does not answer: {error}\n{_last_words(cluster, store)}") from error
    progress(f"{store}: answers after {time.monotonic() - began:.0f} s")


@contextlib.contextmanager
def _reached(cluster: Cluster, store: Store, port: int) -> Iterator[str]:
    """``host:port``: the Service itself where this machine reaches it, else a port that kubectl forwards."""
    if cluster.host_reaches_pods:
        address = cluster.ask("-n", NAMESPACE, "get", "service", store, "-o", "jsonpath={.spec.clusterIP}")
        yield f"{address}:{port}"
    else:
        with _forwarded(cluster, store, port) as local:
            yield f"127.0.0.1:{local}"


@contextlib.contextmanager
def _forwarded(cluster: Cluster, store: Store, port: int) -> Iterator[int]:
    """A loopback port that leads to the Service while the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        local: int = probe.getsockname()[1]
    command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "-n", NAMESPACE]
    process = subprocess.Popen(
        [*command, "port-forward", f"service/{store}", f"{local}:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def connects() -> bool:
        if process.poll() is not None:
            raise TestbedError(f"kubectl port-forward to {store} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", local), timeout=1):
            return True
        return False

    try:
        wait_until(connects, what=f"the port-forward to {store}", timeout=20)
        yield local
    finally:
        process.kill()
        process.wait(10)


def _last_words(cluster: Cluster, store: Store) -> str:
    selector = f"app.kubernetes.io/name={store}"
    said: list[str] = []
    for question in (
        ("get", "pods", "-l", selector, "-o", "wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("logs", f"deployment/{store}", "--tail=20"),
    ):
        try:
            said.append(cluster.ask("-n", NAMESPACE, *question)[-2000:])
        except TestbedError as error:
            said.append(str(error))
    return "\n".join(said)
