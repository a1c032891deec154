"""`make demo-down`: what the demo made goes, in the order in which it can clean up after itself."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from rich.console import Console

from demo.cluster_access import get, shell_function
from demo.display import display_for
from demo.index_status import why_not_ready
from demo.parts import (
    INDEX,
    INSTALL,
    INSTANCE,
    OWN_LABEL,
    RESOURCE,
    SEARCH_NAMESPACE,
    STORES_NAMESPACE,
    SYSTEM_NAMESPACE,
)
from demo.steps import Say, Step, StepFailed, run_steps
from demo.wording import duration
from tests.testbed.cluster import Cluster, TestbedError, cache_root, find, tear_down

INDEX_SECONDS = 120
NAMESPACE_SECONDS = 120


def down(console: Console) -> int:
    """Remove what `up` made; returns the exit status. Does nothing where there is nothing."""
    began = time.monotonic()
    cluster = find(INSTANCE)
    with display_for(console) as display:
        outcomes = run_steps(removing_steps(cluster), display)
    if any(outcome.error for outcome in outcomes):
        return 1
    console.print(
        f"Gone, in {duration(time.monotonic() - began)}. Built programs and images stay in {cache_root()} "
        f"({size_of_cache()}) for the next `make demo`; `make clean` removes them too.",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def removing_steps(cluster: Cluster | None) -> list[Step]:
    """On a cluster that was given only what the demo put there goes; one that the demo made goes as a whole."""
    if cluster is None or cluster.kind != "given":
        kind = f"{cluster.kind} cluster removed" if cluster else "there was none"
        return [Step("cluster", "Cluster", _removing_cluster(kind))]
    waits = "Its finalizer waits for the operator and for Milvus; bring them back, or set deletionPolicy to Retain"
    return [
        Step("index", "Index", _on(cluster, remove_index), remedy=waits),
        Step("operator", "Operator", _on(cluster, remove_operator), ("index",)),
        Step("namespaces", "Namespaces", _on(cluster, remove_namespaces), ("operator",)),
        Step("credentials", "Copy of the kubeconfig", _on(cluster, remove_copy), ("namespaces",)),
    ]


def _on(cluster: Cluster, action: Callable[[Cluster, Say], str]) -> Callable[[Say], str]:
    return lambda say: action(cluster, say)


def _removing_cluster(outcome: str) -> Callable[[Say], str]:
    def act(_say: Say) -> str:
        tear_down(INSTANCE)
        return outcome

    return act


def remove_copy(cluster: Cluster, _say: Say) -> str:
    """Delete the testbed's copy of the credentials of a given cluster, which itself stays."""
    cluster.kubeconfig.unlink(missing_ok=True)
    return "gone; the cluster stays"


def remove_index(cluster: Cluster, say: Say) -> str:
    """Delete the demo's indexes and wait until their finalizer has dropped the collections."""
    if not _is_ours(cluster, SEARCH_NAMESPACE) or get(cluster, "crd", RESOURCE) is None:
        return "there was none"
    say("waiting for its finalizer")
    try:
        cluster.ask(
            *("-n", SEARCH_NAMESPACE, "delete", RESOURCE, "--all", f"--timeout={INDEX_SECONDS}s"),
            timeout=INDEX_SECONDS + 10.0,
        )
    except TestbedError as error:
        index = get(cluster, RESOURCE, INDEX, SEARCH_NAMESPACE)
        kubectl = f"k -n {SEARCH_NAMESPACE}"
        raise StepFailed(
            f"{INDEX} was not gone within {INDEX_SECONDS} s: {why_not_ready(index)}",
            look=[
                shell_function(cluster),
                f"{kubectl} describe ssi {INDEX}",
                f'{kubectl} patch ssi {INDEX} --type=merge -p \'{{"spec":{{"deletionPolicy":"Retain"}}}}\'',
            ],
            tail=str(error),
        ) from error
    return "gone, its collections too"


def remove_operator(cluster: Cluster, _say: Say) -> str:
    """Delete what the manifests installed; refuse while someone else's index needs it."""
    if not _is_ours(cluster, SYSTEM_NAMESPACE):
        return "there was none"
    if get(cluster, "crd", RESOURCE) is not None:
        others = json.loads(cluster.ask("get", RESOURCE, "-A", "-o", "json"))["items"]
        if others:
            names = ", ".join(f"{o['metadata']['namespace']}/{o['metadata']['name']}" for o in others)
            raise StepFailed(f"indexes that the demo did not make would go with the CRD: {names}")
    cluster.ask("delete", "-k", str(INSTALL), "--ignore-not-found", "--timeout=90s", timeout=100)
    return "gone"


def remove_namespaces(cluster: Cluster, _say: Say) -> str:
    """Delete the namespaces that carry the demo's label, with the stores in them."""
    ours = [
        name for name in (SEARCH_NAMESPACE, STORES_NAMESPACE, SYSTEM_NAMESPACE) if _is_ours(cluster, name)
    ]
    if ours:
        cluster.ask(
            "delete", "namespace", *ours, f"--timeout={NAMESPACE_SECONDS}s", timeout=NAMESPACE_SECONDS + 10.0
        )
    return f"{', '.join(ours)} gone" if ours else "there were none"


def _is_ours(cluster: Cluster, namespace: str) -> bool:
    found = get(cluster, "namespace", namespace)
    key, value = OWN_LABEL
    return bool(found and found["metadata"].get("labels", {}).get(key) == value)


def size_of_cache() -> str:
    """How much the cache holds, e.g. 3.1 GiB."""
    total = 0
    for folder, _, files in os.walk(cache_root()):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                total += os.lstat(path).st_size
    return f"{total / (1 << 30):.1f} GiB"
