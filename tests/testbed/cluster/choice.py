"""Which cluster an instance runs on, and the same four verbs for each kind of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.testbed.cluster import embedded
from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.images import archives_of, docker_answers, silent
from tests.testbed.cluster.instance import SCRIPTS, Node
from tests.testbed.cluster.toolchain import binary, build_tools

METRICS_SERVER_IMAGE = "localhost/semantic-search/metrics-server:0.9.0"
KIND_CONFIG = Path(__file__).parents[3] / "kind-config.yaml"


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up, and what one needs to use it.

    ``audit_log`` has one JSON line (audit.k8s.io/v1 Event, level Metadata) per write request, with ``verb``,
    ``user.username``, ``userAgent`` and ``objectRef``; None where the cluster is not ours to configure.
    ``host_reaches_pods`` says whether this machine can connect to pod and Service addresses directly.
    ``host_address`` is where pods reach servers of this machine that bind it, or None if they cannot.
    """

    kind: Literal["given", "kind", "embedded"]
    name: str
    kubeconfig: Path
    kubectl: Path
    audit_log: Path | None = None
    host_reaches_pods: bool = False
    host_address: str | None = None

    def ask(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """Run kubectl against this cluster and return its output; TestbedError when it fails."""
        return run(
            [self.kubectl, "--kubeconfig", self.kubeconfig, *arguments],
            what=f"kubectl {' '.join(arguments[:5])}",
            stdin=stdin,
            timeout=timeout,
        )


def _given() -> str | None:
    """The KUBECONFIG of the user, unless it is one that the testbed wrote itself."""
    value = os.environ.get("KUBECONFIG", "")
    paths = [Path(part).expanduser().absolute() for part in value.split(os.pathsep) if part]
    ours = cache_root() / "clusters"
    return None if not paths or all(path.is_relative_to(ours) for path in paths) else value


def _folder(instance: str) -> Path:
    return cache_root() / "clusters" / instance


def _given_cluster(instance: str, progress: Callable[[str], None]) -> Cluster:
    kubectl = Path(shutil.which("kubectl") or binary("kubectl", progress=progress))
    context = os.environ.get("SSO_CONTEXT")
    choice = ["--context", context] if context else []
    flat = run(
        [kubectl, "config", "view", "--flatten", "--minify", "--raw", *choice],
        what="reading KUBECONFIG",
        remedy="KUBECONFIG names the cluster, SSO_CONTEXT the context in it; unset it to have one made",
    )
    kubeconfig = cache_root() / "given" / f"{instance}.kubeconfig"
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(flat)
    cluster = Cluster(kind="given", name=instance, kubeconfig=kubeconfig, kubectl=kubectl)
    cluster.ask("get", "--raw", "/readyz", "--request-timeout=15s")
    return cluster


def _kind_name(instance: str) -> str:
    return f"sso-{instance}"


def _kind_clusters(kind: Path) -> list[str]:
    return run([kind, "get", "clusters"], what="kind get clusters").split()


def _kind_cluster(instance: str, progress: Callable[[str], None]) -> Cluster:
    kind, kubectl = binary("kind", progress=progress), binary("kubectl", progress=progress)
    kubeconfig = cache_root() / "kind" / f"{instance}.kubeconfig"
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    name = _kind_name(instance)
    if name in _kind_clusters(kind):
        run(
            [kind, "export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig],
            what="kind export kubeconfig",
        )
    else:
        progress(f"kind: creating cluster {name}")
        create = [
            kind,
            "create",
            "cluster",
            "--name",
            name,
            "--config",
            KIND_CONFIG,
            "--kubeconfig",
            kubeconfig,
        ]
        run([*create, "--wait", "120s"], what=f"kind create cluster {name}", timeout=900)
        progress(f"kind: cluster {name} is up")
    cluster = Cluster(kind="kind", name=instance, kubeconfig=kubeconfig, kubectl=kubectl)
    _add_metrics_server(cluster, progress)
    return cluster


def _add_metrics_server(cluster: Cluster, progress: Callable[[str], None]) -> None:
    """kind comes without one, and without it no autoscaler sees a pod's CPU."""
    if cluster.ask("-n", "kube-system", "get", "deployment", "metrics-server", "--ignore-not-found"):
        return
    build_tools(["metrics-server"], progress=progress)
    load_image(cluster, embedded.node_image(METRICS_SERVER_IMAGE, "metrics-server"))
    for manifest in (
        SCRIPTS / "manifests/metrics-server-rbac.yaml",
        SCRIPTS / "metrics-server-deployment.yaml",
    ):
        cluster.ask("apply", "-f", str(manifest))
    cluster.ask(
        "-n", "kube-system", "rollout", "status", "deploy/metrics-server", "--timeout=120s", timeout=130
    )


def _embedded_cluster(node: Node) -> Cluster:
    return Cluster(
        kind="embedded",
        name=node.instance,
        kubeconfig=node.kubeconfig,
        kubectl=node.kubectl,
        audit_log=node.audit_log,
        host_reaches_pods=True,
        host_address=node.host_ip,
    )


def bring_up(instance: str, *, progress: Callable[[str], None] = silent) -> Cluster:
    """Return a cluster that is ready, making it if need be; calling it again returns the same one.

    The cluster in ``KUBECONFIG`` if that is set (context ``SSO_CONTEXT`` if that is); else one made with kind
    where a Docker engine answers; else an embedded node. Raises TestbedError saying what to do.
    """
    if _given() is not None:
        return _given_cluster(instance, progress)
    if docker_answers():
        return _kind_cluster(instance, progress)
    return _embedded_cluster(embedded.up(instance, progress))


def find(instance: str) -> Cluster | None:
    """The cluster of that instance if it is up, without making anything."""
    if _given() is not None:
        return _given_cluster(instance, silent)
    node = Node(instance)
    if node.init_pid is not None:
        return _embedded_cluster(node)
    if docker_answers() and _kind_name(instance) in _kind_clusters(binary("kind", progress=silent)):
        return _kind_cluster(instance, silent)
    return None


def tear_down(instance: str) -> None:
    """Remove exactly what ``bring_up`` made for that instance; a given cluster is left as it is."""
    (cache_root() / "given" / f"{instance}.kubeconfig").unlink(missing_ok=True)
    embedded.down(instance)
    kubeconfig = cache_root() / "kind" / f"{instance}.kubeconfig"
    if kubeconfig.exists() and docker_answers():
        kind = binary("kind", progress=silent)
        command = [kind, "delete", "cluster", "--name", _kind_name(instance), "--kubeconfig", kubeconfig]
        run(command, what="kind delete cluster", timeout=120)
        kubeconfig.unlink(missing_ok=True)


def load_image(cluster: Cluster, tag_or_tar: str | Path) -> None:
    """Make an image available to the cluster's pods: an archive, or the tag of one built here.

    Does nothing when that archive is loaded already. Raises TestbedError for a given cluster, whose nodes
    take images from a registry only.
    """
    if cluster.kind == "given":
        raise TestbedError(
            f"cannot load {tag_or_tar} into the cluster of KUBECONFIG: push it to a registry "
            "that its nodes pull from, or unset KUBECONFIG to use a cluster made here"
        )
    archive = _archive_of(tag_or_tar)
    if cluster.kind == "kind":
        kind = binary("kind", progress=silent)
        command = [kind, "load", "image-archive", archive, "--name", _kind_name(cluster.name)]
        run(command, what=f"kind load {archive.name}", timeout=600)
        return
    embedded.load(Node(cluster.name), archive)


def _archive_of(tag_or_tar: str | Path) -> Path:
    path = Path(tag_or_tar)
    if path.suffix == ".tar" and path.is_file():
        return path
    found = archives_of(str(tag_or_tar))
    if not found:
        raise TestbedError(
            f"no archive of {tag_or_tar} under {cache_root() / 'images'}: build it first (build_image)"
        )
    return found[-1]
