"""The cluster that the other tests stand on does what they take for granted."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.cluster import Cluster, bring_up, build_image, load_image, patch_gpu
from tests.testbed.cluster.choice import find
from tests.testbed.cluster.commands import wait_until

pytestmark = pytest.mark.cluster

APP = "localhost/semantic-search/testbed-check:1"
FILES = "localhost/semantic-search/testbed-files:1"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
APP_DOCKERFILE = """\
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE}
COPY check.py /check.py
USER 10001:10001
ENTRYPOINT ["python", "/check.py"]
"""
APP_CODE = """\
import http.server, os, pathlib, sys, time, urllib.request
def write(path):
    try:
        pathlib.Path(path, "x").write_text("x")
        return "yes"
    except OSError as error:
        return os.strerror(error.errno)
match sys.argv[1]:
    case "identity":
        print(f"{os.getuid()}:{os.getgid()}, writes: {write('/')}")
    case "models":
        print(pathlib.Path("/models/model.txt").read_text().strip(), "writes:", write("/models"))
    case "fetch":
        print(urllib.request.urlopen(sys.argv[2], timeout=10).read().decode())
    case "fetch-until-refused":
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(sys.argv[2], timeout=3).read()
            except OSError as error:
                sys.exit(print("refused:", error))
        print("never refused")
    case "serve":
        import http.server
        handler = http.server.SimpleHTTPRequestHandler
        http.server.ThreadingHTTPServer(("0.0.0.0", 8080), handler).serve_forever()
"""


@functools.cache
def cluster() -> Cluster:
    return bring_up("test", progress=print)


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace of its own with both images loaded, removed afterwards."""
    if cluster().kind == "given":
        pytest.skip("a given cluster's nodes take images from a registry only")
    app, files = tmp_path_factory.mktemp("app"), tmp_path_factory.mktemp("files")
    (app / "Dockerfile").write_text(APP_DOCKERFILE)
    (app / "check.py").write_text(APP_CODE)
    (files / "Dockerfile").write_text("FROM scratch\nCOPY model.txt /\n")
    (files / "model.txt").write_text("weights\n")
    load_image(cluster(), build_image(APP, app, progress=print))
    load_image(cluster(), build_image(FILES, files, progress=print))
    name = f"testbed-{uuid.uuid4().hex[:8]}"
    cluster().ask("create", "namespace", name)
    cluster().ask("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    cluster().ask("delete", "namespace", name, "--wait=false")


def create(namespace: str, name: str, *arguments: str, **extra: Any) -> None:
    """Start a pod that runs the check program once, as strictly as the product's pods run."""
    container = {
        "name": "check",
        "image": APP,
        "imagePullPolicy": "Never",
        "args": list(arguments),
        "securityContext": RESTRICTED,
        **extra.pop("container", {}),
    }
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **extra}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }
    cluster().ask("-n", namespace, "create", "-f", "-", stdin=json.dumps(pod))


def said(namespace: str, name: str) -> str:
    """What a pod that ran once printed."""
    ended = "jsonpath={.status.phase}"

    def finished() -> bool:
        return cluster().ask("-n", namespace, "get", "pod", name, "-o", ended) in ("Succeeded", "Failed")

    wait_until(finished, what=f"pod {name} to end", timeout=60, every=0.3)
    return cluster().ask("-n", namespace, "logs", name).strip()


def test_the_nodes_are_ready_and_bringing_up_again_changes_nothing() -> None:
    nodes = json.loads(cluster().ask("get", "nodes", "-o", "json"))["items"]
    assert nodes
    for node in nodes:
        conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        assert conditions["Ready"] == "True", node["metadata"]["name"]
    assert bring_up("test") == cluster()
    assert find("test") == cluster()
    uids = [
        node["metadata"]["uid"] for node in json.loads(cluster().ask("get", "nodes", "-o", "json"))["items"]
    ]
    assert uids == [node["metadata"]["uid"] for node in nodes]


def test_a_pod_runs_as_its_user_with_a_read_only_root(namespace: str) -> None:
    create(namespace, "identity", "identity")
    assert said(namespace, "identity") == "10001:10001, writes: Read-only file system"


def test_a_pod_that_may_become_root_is_refused(namespace: str) -> None:
    with pytest.raises(RuntimeError, match="violates PodSecurity"):
        create(namespace, "root", "identity", container={"securityContext": {}})


def test_an_image_of_files_alone_is_mounted_read_only(namespace: str) -> None:
    volume = {"name": "models", "image": {"reference": FILES, "pullPolicy": "IfNotPresent"}}
    mounts = [{"name": "models", "mountPath": "/models", "readOnly": True}]
    create(namespace, "models", "models", volumes=[volume], container={"volumeMounts": mounts})
    assert said(namespace, "models") == "weights writes: Read-only file system"


def test_names_of_services_resolve_and_answer(namespace: str) -> None:
    create(namespace, "server", "serve")
    cluster().ask("-n", namespace, "expose", "pod", "server", "--port=80", "--target-port=8080")
    cluster().ask("-n", namespace, "wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
    create(namespace, "client", "fetch", f"http://server.{namespace}.svc.cluster.local/check.py")
    assert said(namespace, "client") == APP_CODE.strip()


def test_a_network_policy_is_enforced(namespace: str) -> None:
    create(namespace, "guarded", "serve")
    cluster().ask("-n", namespace, "expose", "pod", "guarded", "--port=80", "--target-port=8080")
    cluster().ask("-n", namespace, "wait", "pod/guarded", "--for=condition=Ready", "--timeout=60s")
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "guarded"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "guarded"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}],
        },
    }
    cluster().ask("-n", namespace, "apply", "-f", "-", stdin=json.dumps(policy))
    # A policy has no status that says when it holds, so the stranger tries until it does.
    create(namespace, "stranger", "fetch-until-refused", "http://guarded/check.py")
    refusal = said(namespace, "stranger")
    create(namespace, "friend", "fetch", "http://guarded/check.py")
    assert said(namespace, "friend") == APP_CODE.strip()
    assert "timed out" in refusal


def gpus_in_use() -> int:
    """GPUs that pods of other tests hold on the shared cluster."""
    pods = json.loads(cluster().ask("get", "pods", "-A", "-o", "json"))["items"]
    held = [c.get("resources", {}).get("limits", {}) for pod in pods for c in pod["spec"]["containers"]]
    return sum(int(limits.get("nvidia.com/gpu", 0)) for limits in held)


def test_gpus_are_counted_by_the_scheduler(namespace: str) -> None:
    patch_gpu(cluster(), gpus_in_use() + 2)
    try:
        gpu = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
        for index in range(3):
            selector = {"accelerator": "nvidia-tesla-t4"}
            create(namespace, f"gpu-{index}", "serve", nodeSelector=selector, container=gpu)

        def conditions() -> list[tuple[str, str]]:
            listed = ("get", "pods", "-l", "app in (gpu-0, gpu-1, gpu-2)", "-o", "json")
            pods = json.loads(cluster().ask("-n", namespace, *listed))["items"]
            found = [pod["status"].get("conditions", []) for pod in pods]
            scheduled = [[c for c in some if c["type"] == "PodScheduled"] for some in found]
            return sorted((c[0]["status"], c[0].get("message", "")) for c in scheduled if c)

        wait_until(lambda: len(conditions()) == 3, what="the scheduler's verdict on 3 pods", timeout=30)
        (refused, why), *scheduled = conditions()
        assert [status for status, _ in scheduled] == ["True", "True"]
        assert refused == "False"
        assert "Insufficient nvidia.com/gpu" in why
    finally:
        patch_gpu(cluster(), 8)


def test_pods_reach_a_server_of_this_machine(namespace: str) -> None:
    address = cluster().host_address
    if address is None:
        pytest.skip("pods of this cluster have no way to this machine")

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the machine")

    with http.server.ThreadingHTTPServer((address, 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        create(namespace, "outward", "fetch", f"http://{address}:{server.server_port}/")
        assert said(namespace, "outward") == "from the machine"
        server.shutdown()


def test_the_cpu_of_pods_is_measured(namespace: str) -> None:
    create(namespace, "measured", "serve")
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"

    def measured() -> bool:
        items = json.loads(cluster().ask("get", "--raw", path))["items"]
        return "measured" in [item["metadata"]["name"] for item in items]

    wait_until(measured, what="the metrics of a new pod", timeout=60, every=1)


def test_every_write_is_in_the_audit_log_with_who_made_it(namespace: str) -> None:
    log: Path | None = cluster().audit_log
    if log is None:
        pytest.skip("the API server of this cluster is not ours to configure")
    name = f"audited-{uuid.uuid4().hex[:8]}"
    cluster().ask("-n", namespace, "create", "configmap", name)
    cluster().ask("-n", namespace, "get", "configmap", name)
    cluster().ask("-n", namespace, "delete", "configmap", name)
    events = [json.loads(line) for line in log.read_text().splitlines() if name in line]
    assert [event["verb"] for event in events] == ["create", "delete"]
    assert {event["user"]["username"] for event in events} == {"admin"}
    assert all(event["userAgent"].startswith("kubectl/") for event in events)
