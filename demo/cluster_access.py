"""Reading the cluster: a Service's address, a watched object, and what went wrong in a namespace."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from demo.steps import StepFailed
from tests.testbed.cluster import Cluster, TestbedError

Object = dict[str, Any]

_FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+)")
_FORWARD_SECONDS = 20.0
_LOG_LINES = 20
_ENDS_WITHIN = 5.0


def shell_function(cluster: Cluster) -> str:
    """A line for a shell: a function `k` that is kubectl on this cluster."""
    return f'k() {{ {cluster.kubectl} --kubeconfig {cluster.kubeconfig} "$@"; }}'


def get(cluster: Cluster, kind: str, name: str, namespace: str = "default") -> Object | None:
    """The object, or None where there is none (or the API server does not know the kind yet)."""
    try:
        said = cluster.ask("-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "json")
    except TestbedError as error:
        if "doesn't have a resource type" in str(error):
            return None
        raise
    found: Object | None = json.loads(said) if said.strip() else None
    return found


@contextmanager
def service_url(cluster: Cluster, namespace: str, service: str) -> Iterator[str]:
    """http://address:port of a Service's first port: its own where we can reach it, else a forwarded port."""
    found = get(cluster, "service", service, namespace)
    if found is None:
        raise StepFailed(
            f"there is no Service {service} in namespace {namespace}",
            look=[shell_function(cluster), f"k -n {namespace} get services"],
        )
    port = found["spec"]["ports"][0]["port"]
    if cluster.host_reaches_pods:
        yield f"http://{found['spec']['clusterIP']}:{port}"
        return
    command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace, "port-forward"]
    with _running([*command, "--address", "127.0.0.1", f"svc/{service}", f":{port}"]) as lines:
        yield f"http://{_forwarded(lines, f'a forwarded port of {service}')}"


def _forwarded(lines: queue.SimpleQueue[str | None], what: str) -> str:
    deadline = time.monotonic() + _FORWARD_SECONDS
    said = ""
    while (line := _next(lines, deadline)) is not None:
        said += line
        if match := _FORWARDING.search(line):
            return match[1]
    raise StepFailed(f"waited {_FORWARD_SECONDS:.0f} s for {what}", tail=said)


def watch(cluster: Cluster, kind: str, name: str, namespace: str, seconds: float) -> Iterator[Object]:
    """The object now and after each change, until `seconds` have passed; a watch that ends is begun again."""
    deadline = time.monotonic() + seconds
    command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace, "get", kind, name]
    while time.monotonic() < deadline:
        began = time.monotonic()
        with _running([*command, "--watch", "--output", "json"]) as lines:
            yield from documents(_until(lines, deadline))
        # The API server may be restarting; ask again, but not in a tight loop.
        time.sleep(max(0.0, min(1.0 - (time.monotonic() - began), deadline - time.monotonic())))


def documents(lines: Iterable[str]) -> Iterator[Object]:
    """The JSON objects in kubectl's indented output, each as soon as it is whole."""
    part: list[str] = []
    for line in lines:
        if not part and not line.startswith("{"):
            continue
        part.append(line)
        if line.rstrip("\n") == "}":
            yield json.loads("".join(part))
            part = []


def _until(lines: queue.SimpleQueue[str | None], deadline: float) -> Iterator[str]:
    while (line := _next(lines, deadline)) is not None:
        yield line


def _next(lines: queue.SimpleQueue[str | None], deadline: float) -> str | None:
    try:
        return lines.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        return None


@contextmanager
def _running(command: list[object]) -> Iterator[queue.SimpleQueue[str | None]]:
    """A program's output line by line, None at its end; the program ends with the block."""
    # The command is kubectl with arguments of ours, and no shell reads it.
    process = subprocess.Popen(  # noqa: S603
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    assert process.stdout is not None
    reader = threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        yield lines
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_ENDS_WITHIN)
        reader.join(_ENDS_WITHIN)
        process.stdout.close()


def _pump(source: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in source:
        lines.put(line)
    lines.put(None)


def pods_in_trouble(pods: Iterable[Object]) -> list[tuple[str, str]]:
    """(name, why) of each pod that neither runs ready nor has finished well."""
    found: list[tuple[str, str]] = []
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") == "Succeeded":
            continue
        conditions = {c["type"]: c for c in status.get("conditions", ())}
        if conditions.get("Ready", {}).get("status") == "True":
            continue
        waiting = [
            c["state"]["waiting"] for c in status.get("containerStatuses", ()) if "waiting" in c["state"]
        ]
        unscheduled = conditions.get("PodScheduled", {})
        if unscheduled.get("status") == "False":
            why = unscheduled.get("message", "has no node")
        elif waiting:
            why = ": ".join(text for text in (waiting[0].get("reason"), waiting[0].get("message")) if text)
        else:
            why = status.get("message") or f"{status.get('phase', 'Unknown')}, not ready"
        found.append((pod["metadata"]["name"], why))
    return found


def trouble_in(cluster: Cluster, namespace: str, message: str) -> StepFailed:
    """The failure with what the namespace's pods say: the reason of the first bad one, and its last log lines."""
    look = [shell_function(cluster), f"k -n {namespace} get pods,events"]
    bad = pods_in_trouble(json.loads(cluster.ask("-n", namespace, "get", "pods", "-o", "json"))["items"])
    if not bad:
        return StepFailed(message, look=look)
    name, why = bad[0]
    look += [f"k -n {namespace} describe pod {name}", f"k -n {namespace} logs {name} --all-containers"]
    return StepFailed(f"{message}\npod {name}: {why}", look=look, tail=_log(cluster, namespace, name))


def _log(cluster: Cluster, namespace: str, pod: str) -> str:
    """The last lines of a pod's log; those of its last life when it has said nothing in this one."""
    said = ""
    for life in ((), ("--previous",)):
        try:
            said = cluster.ask("-n", namespace, "logs", pod, f"--tail={_LOG_LINES}", *life)
        except TestbedError as error:
            said = said or str(error)
        if said.strip():
            break
    return said


def rolled_out(cluster: Cluster, namespace: str, deployment: str, seconds: int) -> None:
    """Wait until a Deployment's pods are all new and ready; StepFailed with what the pods say."""
    try:
        cluster.ask(
            *("-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={seconds}s"),
            timeout=seconds + 10.0,
        )
    except TestbedError as error:
        raise trouble_in(
            cluster,
            namespace,
            f"{deployment} was not ready within {seconds} s: {str(error).splitlines()[-1]}",
        ) from error
