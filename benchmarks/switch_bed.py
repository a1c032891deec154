"""The product on a cluster of its own, with one small index and two encoders to switch between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from demo.building import build_weights_image
from demo.parts import OLDER_WEIGHTS_IMAGE, WEIGHTS_IMAGE
from tests.cluster.index_bed import CATALOGUE_PREFIX, NAMESPACE, Bed, Object, install
from tests.testbed.cluster import TestbedError, bring_up, load_image
from tests.testbed.stores import deploy, reachable
from tests.testbed.weights.bge import BGE_SMALL_ZH, BGE_SMALL_ZH_V15
from tests.testbed.weights.published import PublishedWeights

INSTANCE = "switch"
INDEX = "products"
CATALOGUE = CATALOGUE_PREFIX + INDEX
ENCODERS = (BGE_SMALL_ZH_V15, BGE_SMALL_ZH)
IMAGES = {BGE_SMALL_ZH_V15.name: WEIGHTS_IMAGE, BGE_SMALL_ZH.name: OLDER_WEIGHTS_IMAGE}
GATEWAYS = 2
FIRST_BUILD_SECONDS = 900.0


def encoder_spec(weights: PublishedWeights) -> Object:
    """The part of spec.encoder that names that encoder."""
    return {
        "model": weights.name,
        "revision": weights.revision,
        "weights": {"image": IMAGES[weights.name], "sha256": weights.digest},
    }


def index_changes() -> Object:
    """What this benchmark's index has other than the demo's: two gateways, and gates for a shared machine.

    Two cores carry both encoders, the gateways, both stores and the client, so the gate on speed is wide. A day of
    retention keeps both releases for the whole run; nothing is watched, for a switch back would be counted as one.
    """
    return {
        "spec": {
            "encoder": {
                **encoder_spec(BGE_SMALL_ZH_V15),
                "autoscaling": {"minReplicas": 1, "maxReplicas": 2},
            },
            "search": {"replicas": GATEWAYS},
            "refresh": {"parallelism": 1},
            "rollout": {
                "retain": "24h",
                "watch": "0s",
                "capacityCheck": "Warn",
                "gates": {"maxP95": "2s"},
            },
        }
    }


@contextmanager
def switch_bed(products: int, seed: int) -> Iterator[Bed]:
    """The index, Ready, over a fresh catalogue of `products`; the index and its catalogue go at the end.

    The cluster stays for the next run (`python -m tests.testbed.cluster down --instance switch` removes it).
    Raises TestbedError on a cluster whose pods this machine can't reach: the gateways are asked one by one.
    """
    cluster = bring_up(INSTANCE, progress=print)
    if not cluster.host_reaches_pods:
        raise TestbedError(
            "the benchmark asks each gateway by its pod's address; use the embedded cluster (unset KUBECONFIG)"
        )
    inside = deploy(cluster, progress=print)
    install(cluster)
    for weights in ENCODERS:
        build_weights_image(IMAGES[weights.name], weights, print)
        load_image(cluster, IMAGES[weights.name])
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    cluster.ask("apply", "-f", "-", stdin=json.dumps(namespace))
    with reachable(cluster) as local:
        bed = Bed(cluster, local, inside)
        bed.delete(INDEX)
        bed.load_catalogue(INDEX, products, seed=seed)
        bed.apply(bed.resource(INDEX, index_changes()))
        bed.await_ready(INDEX, FIRST_BUILD_SECONDS)
        yield bed
        bed.delete(INDEX)


def service_address(bed: Bed) -> str:
    """http://address:port of the gateways' Service."""
    found = json.loads(bed.k("get", "service", f"{INDEX}-gateway", "-o", "json"))
    return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"
