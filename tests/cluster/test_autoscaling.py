"""Real encoders scaled by the real HPA controller: by load through the operator's metrics API, and by a window."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from demo.cluster_access import get, service_url
from tests.cluster.index_bed import NAMESPACE, Bed

pytestmark = pytest.mark.cluster

Object = dict[str, Any]
INDEX = "scaled"
PRODUCTS = 40
MOST = 3
# Eight clients hold about 700 tokens in flight, whatever the speed: enough for three encoders, and for no more than wanted.
TARGET, CLIENTS, TEXTS = 100, 8, 8
SCALES_WITHIN = 90.0


@dataclass
class Load:
    """What came of the posts."""

    statuses: list[int] = field(default_factory=list)


@contextmanager
def load(bed: Bed, fleet: str) -> Iterator[Load]:
    """Clients that post texts to the fleet's Service, each on a new connection, one after another until the block ends."""
    told, stop = Load(), threading.Event()
    with service_url(bed.cluster, NAMESPACE, fleet) as url:

        def post(client: int) -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                texts = [f"第{client}位顾客第{turn}次想买便宜的蓝牙耳机{n}" for n in range(TEXTS)]
                try:
                    answer = httpx.post(f"{url}/embed", json={"inputs": texts}, timeout=30, trust_env=False)
                    told.statuses.append(answer.status_code)
                except httpx.TransportError:
                    told.statuses.append(0)

        workers = [threading.Thread(target=post, args=(n,), daemon=True) for n in range(CLIENTS)]
        for worker in workers:
            worker.start()
        try:
            yield told
        finally:
            stop.set()
            for worker in workers:
                worker.join(35)


@contextmanager
def transcript(bed: Bed) -> Iterator[None]:
    """Prints what `kubectl get ssi -w` has shown meanwhile."""
    command = [str(bed.cluster.kubectl), "--kubeconfig", str(bed.cluster.kubeconfig), "-n", NAMESPACE]
    with tempfile.TemporaryFile("w+") as shown:
        watching = subprocess.Popen([*command, "get", "ssi", INDEX, "-w"], stdout=shown)
        try:
            yield
        finally:
            watching.terminate()
            watching.wait(10)
            shown.seek(0)
            print(shown.read())


@pytest.fixture(scope="module")
def fleet(bed: Bed) -> Iterator[str]:
    """The encoders of an index with one of at most three, to which this machine may post."""
    bed.load_catalogue(INDEX, PRODUCTS)
    scaling = {
        "mode": "hpa",
        "minReplicas": 1,
        "maxReplicas": MOST,
        "targetInflightTokens": TARGET,
        "scaleUp": {"pods": 2, "period": "5s"},
        "scaleDown": {"stabilizationWindow": "5s", "pods": 2, "period": "5s"},
    }
    bed.apply(bed.resource(INDEX, {"spec": {"encoder": {"autoscaling": scaling}}}))
    bed.await_ready(INDEX)
    open_to_all = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{INDEX}-load"},
        "spec": {
            "podSelector": {
                "matchLabels": {"semanticsearch.io/index": INDEX, "app.kubernetes.io/component": "encoder"}
            },
            "ingress": [{"ports": [{"port": 8080, "protocol": "TCP"}]}],
        },
    }
    bed.k("apply", "-f", "-", stdin=json.dumps(open_to_all))
    yield bed.encoder_name(INDEX)
    bed.remove(INDEX)


def ready(count: int) -> Any:
    """Whether a Deployment has that many pods, all ready."""
    return lambda d: (d["spec"]["replicas"], d.get("status", {}).get("readyReplicas", 0)) == (count, count)


def test_encoders_follow_the_load_up_and_down(bed: Bed, fleet: str) -> None:
    bed.await_condition(INDEX, "Autoscaling", "True", "InflightTokens", 60)
    with transcript(bed):
        with load(bed, fleet) as posted:
            bed.follow(fleet, ready(MOST), f"{MOST} encoders under load", SCALES_WITHIN, "deployment")
            autoscaler = get(bed.cluster, "hpa", fleet, NAMESPACE)
        assert autoscaler is not None
        (metric,) = autoscaler["status"]["currentMetrics"]
        assert metric["type"] == "Pods"
        assert metric["pods"]["metric"]["name"] == "encoder_inflight_tokens"
        assert set(posted.statuses) == {200}
        bed.follow(fleet, ready(1), "one encoder after the load", SCALES_WITHIN, "deployment")
        bed.follow(INDEX, lambda i: i["status"]["summary"]["encoders"] == "1/1", "the status to say so", 30)


def test_a_window_warms_encoders_before_it_opens(bed: Bed, fleet: str) -> None:
    start = (datetime.now(UTC) + timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    window = {"name": "double-11", "start": start, "duration": "10m", "replicas": MOST, "lead": "5s"}
    with transcript(bed):
        bed.patch(INDEX, {"spec": {"encoder": {"autoscaling": {"prewarm": [window]}}}})
        bed.follow(fleet, ready(MOST), f"{MOST} encoders in the window", SCALES_WITHIN, "deployment")
        bed.follow(INDEX, granted(MOST), f"the window to have {MOST} encoders", 30)
    events = bed.k("get", "events", "--field-selector", f"involvedObject.name={INDEX}", "-o", "json")
    assert "WindowOpened" in {event["reason"] for event in json.loads(events)["items"]}


def granted(count: int) -> Any:
    """Whether the open window has that many encoders."""
    return lambda index: (
        [
            (w["state"], w["granted"])
            for w in index["status"]["encoder"].get("windows", ())
            if w["state"] == "Open"
        ]
        == [("Open", count)]
    )
