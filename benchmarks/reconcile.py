"""How long from `kubectl apply` to all children existing, against the bare applies of the same objects.

A real kube-apiserver and etcd, a real Milvus and Elasticsearch, the operator as a process of its own. Each round
applies a new index and waits for its last child; then the same objects are applied by a bare loop with the same
client, one after the other. `python -m benchmarks.reconcile --help`
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from elasticsearch import Elasticsearch
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.plan import Installation, desired_children
from search_operator.decide.rollout import rollout
from search_operator.kubernetes_api import LEASE, KubernetesApi, kind_named
from search_operator.observe.observation import Observation
from search_operator.render.child import MANAGED_BY, Images
from search_operator.run.leadership import LEASE_NAME

from benchmarks.report import Row, write
from demo.parts import RESOURCE
from sample_catalogue import load
from tests.testbed.apiserver import api_server
from tests.testbed.crd_serving import await_served
from tests.testbed.stores.local import LocalElasticsearch, LocalMilvus

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "manifests" / "samples" / "products.yaml"
SYSTEM, OURS, FLOOR = "semantic-search-system", "bench", "floor"
PLANE_IMAGE = "localhost/semantic-search/plane:dev"
DEADLINE_SECONDS = 60.0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.reconcile --rounds 20",
    )
    parser.add_argument("--rounds", type=int, default=20, help="indexes that are applied (default: 20)")
    rounds = parser.parse_args().rounds
    with api_server() as server, LocalMilvus() as milvus, LocalElasticsearch() as elasticsearch:
        with Elasticsearch(elasticsearch.url, request_timeout=60) as client:
            load(client, "products", 50, 7)
        server.ask("apply", "-k", str(ROOT / "crds"))
        await_served(server, RESOURCE)
        for name in (SYSTEM, OURS, FLOOR):
            server.ask("create", "namespace", name)
        sample = _sample(milvus.uri, elasticsearch.url)
        with _operator(server.kubeconfig):
            ours, floor, children = asyncio.run(_measure(server.kubeconfig, sample, rounds))
    row = Row.compare(
        "apply_vs_floor",
        median(ours),
        f"bare applies of the same {children} objects",
        median(floor),
        unit="ms",
        better="lower",
    )
    write(
        "reconcile",
        [row],
        {"rounds": rounds, "children": children, "ours_ms": list(ours), "floor_ms": list(floor)},
    )
    return 0


def _sample(milvus: str, elasticsearch: str) -> dict[str, Any]:
    sample: dict[str, Any] = yaml.safe_load(SAMPLE.read_text())
    sample["spec"]["vectorStore"]["milvus"]["endpoint"] = milvus.removeprefix("http://")
    sample["spec"]["catalogue"]["elasticsearch"].update(endpoint=elasticsearch, index="products")
    return sample


class _operator:
    """The operator as a process; ended by its pid."""

    def __init__(self, kubeconfig: Path) -> None:
        self._environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "PLANE_IMAGE": PLANE_IMAGE,
            "OPERATOR_NAMESPACE": SYSTEM,
            "PROBE_PORT": "0",
            "METRICS_PORT": "0",
            "METRICS_API_PORT": "0",
            "LOG_LEVEL": "WARNING",
        }

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "search_operator"], env=self._environment, cwd=ROOT
        )

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def _measure(
    kubeconfig: Path, sample: dict[str, Any], rounds: int
) -> tuple[list[float], list[float], int]:
    await kubernetes_config.load_kube_config(str(kubeconfig))
    async with kubernetes_client.ApiClient() as client:
        api = KubernetesApi(client)
        await _until("the operator leads", partial(_leads, api))
        ours, floor, children = [], [], 0
        # The first round warms both sides' connections and is not kept.
        for number in range(rounds + 1):
            body = {**sample, "metadata": {"name": f"index-{number}", "namespace": OURS}}
            wish = _children(body)
            children = len(wish)
            began = time.perf_counter()
            await api.apply(body)
            await _until(f"the children of index-{number}", partial(_all_exist, api, wish))
            took = 1000 * (time.perf_counter() - began)
            began = time.perf_counter()
            for child in wish:
                await api.apply(_as_floor(child))
            bare = 1000 * (time.perf_counter() - began)
            if number:
                ours.append(round(took, 1))
                floor.append(round(bare, 1))
        return ours, floor, children


def _children(body: dict[str, Any]) -> list[dict[str, Any]]:
    index = SemanticSearchIndex.parse(
        {**body, "metadata": {**body["metadata"], "uid": "bench", "generation": 1}}
    )
    observation = Observation(datetime.now(UTC), index)
    # What is decided about a fresh index is written first; its children follow from that.
    begun = replace(observation, book=rollout(observation).decided)
    return desired_children(begun, rollout(begun), Installation(Images(PLANE_IMAGE), SYSTEM))


def _as_floor(child: dict[str, Any]) -> dict[str, Any]:
    """The same object where the operator does not look: another namespace, not labelled as managed by it."""
    copy: dict[str, Any] = json.loads(json.dumps(child))
    copy["metadata"]["namespace"] = FLOOR
    for label in MANAGED_BY:
        copy["metadata"]["labels"][label] = "bench"
    return copy


async def _leads(api: KubernetesApi) -> bool:
    lease = await api.get(LEASE, SYSTEM, LEASE_NAME)
    return bool(lease and lease.get("spec", {}).get("holderIdentity"))


async def _all_exist(api: KubernetesApi, wish: list[dict[str, Any]]) -> bool:
    """The last one is asked for alone until it is there; then all of them are."""

    async def exists(child: dict[str, Any]) -> bool:
        return await api.get(kind_named(child["kind"]), OURS, child["metadata"]["name"]) is not None

    return await exists(wish[-1]) and all(await asyncio.gather(*map(exists, wish[:-1])))


async def _until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {DEADLINE_SECONDS:.0f} s for {what}")
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main())
