"""A real single-node Kubernetes in namespaces of its own: no Docker engine, no registry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.testbed.cluster.archive import write_single_file_image
from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.commands import run, wait_until
from tests.testbed.cluster.instance import SCRIPTS, Node
from tests.testbed.cluster.prerequisites import ensure_prerequisites, program, require_root
from tests.testbed.cluster.toolchain import BY_NAME, NODE_SETS, Progress, build_tools, locked

NODE_NAME = "node1"
PAUSE_IMAGE = "localhost/semantic-search/pause:1"
COREDNS_IMAGE = "localhost/semantic-search/coredns:1.15.0"
# Hierarchies of cgroup v1 in which the kubelet wants its root to exist.
_CGROUP_V1 = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "systemd",
    "unified",
)
_CGROUPS = Path("/sys/fs/cgroup")
_POD_CPU_SHARES = 8192
# Nodes that this very process started, to reap them when they end.
_started: dict[str, subprocess.Popen[bytes]] = {}


def up(instance: str, progress: Progress) -> Node:
    """Bring the node up unless it runs; return when it is Ready, its own images are in and DNS answers."""
    node = Node(instance)
    require_root()
    ensure_prerequisites(progress)
    with locked(cache_root() / "clusters" / f"{instance}.lock"):
        tools = build_tools(NODE_SETS, progress=progress)
        if node.init_pid is not None:
            recipe = _recipe_file(node)
            if recipe.exists() and recipe.read_text() == node.recipe():
                _await_ready(node)
                return node
            progress(f"node {instance}: half up or made from other parts, starting afresh")
        _clear(node)
        _start(node, tools, progress)
    return node


def down(instance: str) -> None:
    """End the node and remove everything it left; nothing happens where there is none."""
    node = Node(instance)
    if not node.home.exists() and not _cgroup_folders(node):
        return
    require_root()
    with locked(cache_root() / "clusters" / f"{instance}.lock"):
        _clear(node)


def load(node: Node, archive: Path) -> None:
    """Import an image archive into the node's container runtime; skipped when it is in already."""
    mark = (
        node.home / "loaded" / hashlib.sha256(f"{archive}{archive.stat().st_mtime_ns}".encode()).hexdigest()
    )
    with locked(mark.with_suffix(".lock")):
        if mark.exists():
            return
        images = [node.home / "bin" / "ctr", "-n", "k8s.io", "images"]
        # A tag that only moves keeps its old image's id in the runtime, and image volumes are looked up by id.
        run(node.in_mounts(*images, "rm", *_tags(archive)), what=f"forgetting what {archive.name} replaces")
        with archive.open("rb") as stream:
            run(
                node.in_mounts(*images, "import", "--local", "--discard-unpacked-layers", "-"),
                what=f"loading {archive.name} into {node.instance}",
                stdin=stream,
                timeout=600,
                remedy="its image store is a tmpfs of 10g; set SSO_IMAGE_STORE=16g, then down and up",
            )
        mark.touch()


def _tags(archive: Path) -> list[str]:
    """The names that a docker-archive gives its images."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        return [tag for image in json.load(manifest) for tag in image["RepoTags"]]


def _recipe_file(node: Node) -> Path:
    return node.home / "recipe"


def _cgroup_folders(node: Node) -> list[Path]:
    found = [_CGROUPS / node.cgroup, *(_CGROUPS / hierarchy / node.cgroup for hierarchy in _CGROUP_V1)]
    return [folder for folder in found if folder.is_dir()]


def _clear(node: Node) -> None:
    """Kill PID 1: the kernel then takes every process, mount and device. Remove cgroups and files."""
    pid = node.init_pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: not Path(f"/proc/{pid}").exists(), what=f"the end of node {node.instance}", timeout=30
        )
    if (outer := _started.pop(node.instance, None)) is not None:
        outer.wait(timeout=30)
    ip = program("ip") or "ip"
    link = Path("/sys/class/net") / node.interface
    deadline = time.monotonic() + 5
    while link.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    if link.exists():
        run([ip, "link", "del", node.interface], what=f"removing {node.interface}")
    wait_until(
        lambda: not _cgroups_left(node),
        what=f"the cgroups {node.cgroup} to become empty",
        timeout=10,
    )
    if node.home.exists():
        shutil.rmtree(node.home)


def _cgroups_left(node: Node) -> list[Path]:
    """Remove the node's cgroups and return those that are still busy."""
    return [folder for folder in _cgroup_folders(node) if not _remove_cgroup(folder)]


def _remove_cgroup(folder: Path) -> bool:
    """Remove a cgroup and those below it, deepest first; False while processes are still leaving."""
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            Path(path).rmdir()
        except OSError:
            return False
    return True


def _start(node: Node, tools: Sequence[Path], progress: Progress) -> None:
    began = time.monotonic()

    def told(stage: str) -> None:
        progress(f"node {node.instance}: {stage} after {time.monotonic() - began:.1f} s")

    if f"inet {node.network(0)}." in run([program("ip") or "ip", "-4", "address"], what="listing addresses"):
        raise TestbedError(
            f"{node.network(0)}.0/24 is already in use on this machine; choose another instance name"
        )
    progress(f"node {node.instance}: starting Kubernetes, API server at https://{node.node_ip}:6443")
    _write_home(node, tools)
    _make_cgroups(node)
    _start_init(node)
    wait_until(
        lambda: (node.home / "state/run/containerd/containerd.sock").exists(),
        what="containerd's socket",
        timeout=30,
    )
    for image, name in ((PAUSE_IMAGE, "pause"), (COREDNS_IMAGE, "coredns")):
        wait_until(lambda: _containerd_answers(node), what="containerd", timeout=30)
        load(node, node_image(image, name))
    remedy = f"see {node.home / 'logs'}"
    wait_until(
        lambda: node.answers("get", "--raw", "/readyz"), what="the API server", timeout=90, remedy=remedy
    )
    told("API server ready")
    _await_ready(node, base=True)
    _recipe_file(node).write_text(node.recipe())
    told("Ready, DNS answers")


def _containerd_answers(node: Node) -> bool:
    command = node.in_mounts(node.home / "bin" / "ctr", "version")
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _await_ready(node: Node, *, base: bool = False) -> None:
    remedy = f"see {node.home / 'logs'}"
    condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    wait_until(
        lambda: node.answers("get", "node", NODE_NAME, "-o", condition, says="True"),
        what="the node to be Ready",
        timeout=90,
        remedy=remedy,
    )
    if base:
        node.ask("apply", "-f", "-", stdin=_base_manifests(node))
    node.ask("-n", "kube-system", "rollout", "status", "deploy/coredns", "--timeout=90s", timeout=100)


def _values(node: Node) -> dict[str, str]:
    return {
        "HOME": str(node.home),
        "RUNC": program("runc") or "runc",
        "CGROUP": node.cgroup,
        "POD_NET": node.pod_net,
        "DNS_IP": node.dns_ip,
        "NODE_IP": node.node_ip,
    }


def _rendered(source: Path, values: dict[str, str]) -> str:
    return re.sub(r"@([A-Z0-9_]+)@", lambda match: values[match[1]], source.read_text())


def _base_manifests(node: Node) -> str:
    authority = base64.b64encode((node.home / "pki/ca.crt").read_bytes()).decode()
    values = _values(node) | {"CA_BASE64": authority}
    return "\n---\n".join(_rendered(path, values) for path in sorted((SCRIPTS / "manifests").glob("*.yaml")))


def _write_home(node: Node, tools: Sequence[Path]) -> None:
    for folder in ("bin", "cni", "logs", "hold", "loaded", "state"):
        (node.home / folder).mkdir(parents=True, exist_ok=True)
    node.home.chmod(0o711)
    for binaries in tools:
        for built in binaries.iterdir():
            (node.home / "bin" / built.name).symlink_to(built)
    values = _values(node)
    for name in ("containerd.toml", "kubelet.yaml", "kube-proxy.yaml"):
        (node.home / name).write_text(_rendered(SCRIPTS / f"{name}.in", values))
    (node.home / "cni/10-pods.conflist").write_text(_rendered(SCRIPTS / "cni.conflist.in", values))
    run(["bash", SCRIPTS / "pki.sh"], what="making certificates", environment=_environment(node))


def _environment(node: Node) -> dict[str, str]:
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": f"{os.environ.get('PATH', '')}:{system}",
        "HOME": os.environ.get("HOME", "/root"),
        "NODE_HOME": str(node.home),
        "NODE_NAME": NODE_NAME,
        "NODE_IP": node.node_ip,
        "API_SERVICE_IP": node.api_service_ip,
        "POD_NET": node.pod_net,
        "SERVICE_NET": node.service_net,
        "STORE_SIZE": os.environ.get("SSO_IMAGE_STORE", "10g"),
        "PYTHON": sys.executable,
    }


def _make_cgroups(node: Node) -> None:
    if not (_CGROUPS / "cgroup.controllers").exists():
        for hierarchy in _CGROUP_V1[:-1]:
            folder = _CGROUPS / hierarchy / node.cgroup
            if folder.parent.is_dir():
                folder.mkdir(exist_ok=True)
        cpuset = _CGROUPS / "cpuset" / node.cgroup
        for name in ("cpuset.cpus", "cpuset.mems"):
            (cpuset / name).write_text((cpuset.parent / name).read_text())
        (cpuset / "cgroup.clone_children").write_text("1")
        # Here a group counts as much as one process; all pods together must not starve beside a busy machine.
        (_CGROUPS / "cpu" / node.cgroup / "cpu.shares").write_text(str(_POD_CPU_SHARES))
        return
    (_CGROUPS / node.cgroup).mkdir(exist_ok=True)


def _start_init(node: Node) -> None:
    """Start PID 1 in new namespaces and lay the cable into its network namespace."""
    flags = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (node.home / "logs/init.log").open("wb") as log:
        outer = subprocess.Popen(
            [program("unshare") or "unshare", *flags, "bash", str(SCRIPTS / "inner.sh")],
            env=_environment(node),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started[node.instance] = outer
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    remedy = f"see {node.home / 'logs/init.log'}"

    def started() -> bool:
        if outer.poll() is not None:
            raise TestbedError(f"the node ended at once with {outer.returncode}; {remedy}")
        return bool(children.read_text().strip())

    wait_until(started, what="the node's first process", timeout=10, every=0.02, remedy=remedy)
    pid = children.read_text().split()[0]
    (node.home / "init.pid").write_text(pid)
    ours = os.readlink("/proc/self/ns/net")
    wait_until(
        lambda: os.readlink(f"/proc/{pid}/ns/net") != ours, what="the node's network", timeout=10, every=0.02
    )
    ip = program("ip") or "ip"
    for command in (
        ["link", "add", node.interface, "type", "veth", "peer", "name", "eth0", "netns", pid],
        ["address", "add", f"{node.host_ip}/24", "dev", node.interface],
        ["link", "set", node.interface, "up"],
        ["route", "add", node.pod_net, "via", node.node_ip],
        ["route", "add", node.service_net, "via", node.node_ip],
    ):
        run(
            [ip, *command],
            what=f"ip {' '.join(command[:3])}",
            remedy="is another network in the way? see `ip route`",
        )


def node_image(image: str, name: str) -> Path:
    """Archive of ``image`` (name:tag): one static binary alone, made once per build of ``name``."""
    tools = BY_NAME[name]
    archive = cache_root() / "images" / f"node-{name}-{tools.key}.tar"
    if not archive.exists():
        write_single_file_image(archive, image, tools.bin / name, f"/{name}")
    return archive
