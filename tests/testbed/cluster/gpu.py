"""Declares GPUs that are not there: the scheduler honours the number, no program can compute on them."""

from __future__ import annotations

import json
from typing import Any

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.choice import Cluster

LABEL = ("accelerator", "nvidia-tesla-t4")
RESOURCE = "nvidia.com/gpu"
_POINTER = RESOURCE.replace("/", "~1")


def _workers(cluster: Cluster) -> list[dict[str, Any]]:
    """The cluster's worker nodes, or all of its nodes when there are no others."""
    nodes = json.loads(cluster.ask("get", "nodes", "-o", "json"))["items"]
    role = "node-role.kubernetes.io/control-plane"
    workers = [node for node in nodes if role not in node["metadata"]["labels"]]
    return workers or list(nodes)


def patch_gpu(cluster: Cluster, count: int) -> None:
    """Have the cluster's nodes offer ``count`` T4s in all (a fake: capacity only) and carry their label.

    The count is spread evenly over the workers. Calling it again with another count changes it. A given
    cluster is never patched: TestbedError unless it offers that many already.
    """
    nodes = _workers(cluster)
    if cluster.kind == "given":
        offered = sum(int(node["status"]["allocatable"].get(RESOURCE, 0)) for node in nodes)
        if offered < count:
            raise TestbedError(
                f"the cluster of KUBECONFIG offers {offered} x {RESOURCE}, {count} are needed; "
                "it is not ours to patch: add GPU nodes, or unset KUBECONFIG to use a cluster made here"
            )
        return
    for index, node in enumerate(nodes):
        name = node["metadata"]["name"]
        share = count // len(nodes) + (1 if index < count % len(nodes) else 0)
        cluster.ask("label", "node", name, "--overwrite", f"{LABEL[0]}={LABEL[1]}")
        patch = [
            {"op": "add", "path": f"/status/{kind}/{_POINTER}", "value": str(share)}
            for kind in ("capacity", "allocatable")
        ]
        cluster.ask("patch", "node", name, "--subresource=status", "--type=json", "-p", json.dumps(patch))
