"""Outages of a store in the cluster: stopped (its data are lost), frozen or killed (they are kept)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.testbed.cluster import Cluster, TestbedError
from tests.testbed.cluster.commands import wait_until
from tests.testbed.stores.deployment import NAMESPACE, Store, await_answer

# A program that every container's image has, and what the server's command line begins with.
_PROGRAM_OF: dict[Store, str] = {"milvus": "/opt/milvus/bin/milvus", "elasticsearch": "/opt/java/bin/java"}
_SIGNAL = """
import os, pathlib, signal, sys
found = [int(p.parent.name) for p in pathlib.Path('/proc').glob('[0-9]*/cmdline')
         if p.read_bytes().split(b'\\0')[0].decode() == sys.argv[1]]
if len(found) != 1:
    sys.exit(f'{len(found)} processes run {sys.argv[1]}')
os.kill(found[0], getattr(signal, sys.argv[2]))
"""


def _signal(cluster: Cluster, store: Store, name: str) -> None:
    target = ("-n", NAMESPACE, "exec", f"deployment/{store}", "--")
    cluster.ask(*target, "python3", "-c", _SIGNAL, _PROGRAM_OF[store], name, timeout=30)


def _endpoints(cluster: Cluster, store: Store) -> int:
    ready = cluster.ask("-n", NAMESPACE, "get", "deployment", store, "-o", "jsonpath={.status.readyReplicas}")
    return int(ready or 0)


def pause(cluster: Cluster, store: Store) -> None:
    """Freeze the server with its data: open connections hang at once, new ones are refused when this returns.

    Returns when the Service has no endpoint left (5 to 8 s). Milvus keeps collections loaded through 45 s of
    this (as long as was tried).
    """
    _signal(cluster, store, "SIGSTOP")
    wait_until(
        lambda: _endpoints(cluster, store) == 0, what=f"{store} to be taken out of its Service", timeout=60
    )


def resume(cluster: Cluster, store: Store) -> None:
    """Let a frozen server go on, and wait until it answers a real query again."""
    _signal(cluster, store, "SIGCONT")
    await_answer(cluster, store)


@contextlib.contextmanager
def paused(cluster: Cluster, store: Store) -> Iterator[None]:
    """``pause`` for the duration of the context, ``resume`` whatever happens in it."""
    try:
        pause(cluster, store)
        yield
    finally:
        resume(cluster, store)


def crash(cluster: Cluster, store: Store) -> None:
    """Kill the server: connections break; the kubelet starts it again on the same data.

    Returns when it answers again. The kubelet waits longer before each further start (10 s, 20 s, ...).
    """
    before = _restarts(cluster, store)
    with contextlib.suppress(TestbedError):
        _signal(cluster, store, "SIGKILL")
    wait_until(lambda: _restarts(cluster, store) > before, what=f"{store} to be started again", timeout=120)
    await_answer(cluster, store)


def _restarts(cluster: Cluster, store: Store) -> int:
    path = "jsonpath={.items[0].status.containerStatuses[0].restartCount}"
    selector = f"app.kubernetes.io/name={store}"
    return int(cluster.ask("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", path) or 0)


def stop(cluster: Cluster, store: Store) -> None:
    """Scale to none and wait until the pod is gone: connections are refused, the data are lost."""
    cluster.ask("-n", NAMESPACE, "scale", f"deployment/{store}", "--replicas=0")
    selector = f"app.kubernetes.io/name={store}"
    cluster.ask("-n", NAMESPACE, "wait", "--for=delete", "pod", "-l", selector, "--timeout=60s")


def start(cluster: Cluster, store: Store) -> None:
    """Scale back to one and wait until it, empty, answers a real query."""
    cluster.ask("-n", NAMESPACE, "scale", f"deployment/{store}", "--replicas=1")
    await_answer(cluster, store)
