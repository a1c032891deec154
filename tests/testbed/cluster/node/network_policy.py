"""Enforces networking.k8s.io/v1 NetworkPolicy on the embedded node with plain nftables rules.

A test double for a network plugin's policy engine, as small as it can be: the bridge plugin enforces nothing.
Runs inside the node. Reads pods, namespaces and policies twice a second and replaces ``table ip policies`` in
one transaction when the outcome changed. Pod-to-pod packets on the bridge pass the forward hook because
net.bridge.bridge-nf-call-iptables is 1. Traffic from the node itself (probes) is never filtered. A refused
packet is dropped. Not covered: IPv6, pods on the host's network, AdminNetworkPolicy.

Usage: network_policy.py API_SERVER_URL FOLDER_WITH_CERTIFICATES
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Resource = dict[str, Any]
PERIOD_SECONDS = 0.5


@dataclass(frozen=True)
class Pod:
    """What a policy can see of a pod."""

    namespace: str
    labels: dict[str, str]
    address: str
    ports: tuple[tuple[str, str, int], ...]  # name, protocol, number

    def numbers(self, name: str, protocol: str) -> list[int]:
        """Numbers of the container ports with that name."""
        return [number for port, proto, number in self.ports if (port, proto) == (name, protocol)]


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    """Whether a Kubernetes label selector matches; the empty selector matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], expression.get("values") or []
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[expression["operator"]]
        if not holds:
            return False
    return True


def pod_of(item: Resource) -> Pod | None:
    """The pod as policies see it, or None where they do not apply to it (yet)."""
    status, spec, meta = item["status"], item["spec"], item["metadata"]
    if (
        not status.get("podIP")
        or spec.get("hostNetwork")
        or status.get("phase") not in ("Pending", "Running")
    ):
        return None
    ports = [
        (port.get("name", ""), port.get("protocol", "TCP"), port["containerPort"])
        for container in [*spec["containers"], *(spec.get("initContainers") or [])]
        for port in container.get("ports") or []
    ]
    return Pod(meta["namespace"], meta.get("labels") or {}, status["podIP"], tuple(ports))


class Rules:
    """Renders the policies as one nftables table."""

    def __init__(self, pods: list[Resource], namespaces: list[Resource], policies: list[Resource]) -> None:
        self.pods = sorted((pod for pod in map(pod_of, pods) if pod), key=lambda pod: pod.address)
        self.namespaces = {
            item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in namespaces
        }
        self.policies = policies

    def _peers(self, namespace: str, peers: list[Resource], side: str) -> Iterator[tuple[str, list[Pod]]]:
        """Address condition of each peer, with the pods behind it (for named ports)."""
        if not peers:
            yield "", self.pods
        for peer in peers:
            if block := peer.get("ipBlock"):
                if ":" in block["cidr"]:
                    continue  # this node has no IPv6
                excluded = block.get("except") or []
                unless = f"ip {side} != {{ {', '.join(excluded)} }} " if excluded else ""
                yield f"ip {side} {block['cidr']} {unless}", []
                continue
            by_namespace, by_pod = peer.get("namespaceSelector"), peer.get("podSelector") or {}
            pods = [
                pod
                for pod in self.pods
                if (
                    pod.namespace == namespace
                    if by_namespace is None
                    else selects(by_namespace, self.namespaces.get(pod.namespace, {}))
                )
                and selects(by_pod, pod.labels)
            ]
            if pods:
                yield f"ip {side} {{ {', '.join(pod.address for pod in pods)} }} ", pods

    def _ports(self, ports: list[Resource], target: Pod, behind: list[Pod], direction: str) -> Iterator[str]:
        """Conditions on the destination port; named ports are those of the pod that receives."""
        if not ports:
            yield ""
        for entry in ports:
            protocol, port = entry.get("protocol", "TCP"), entry.get("port")
            kind = protocol.lower()
            if port is None:
                yield f"meta l4proto {kind} "
            elif isinstance(port, int):
                last = f"-{entry['endPort']}" if entry.get("endPort") else ""
                yield f"{kind} dport {port}{last} "
            elif direction == "ingress":
                yield from (f"{kind} dport {number} " for number in target.numbers(port, protocol))
            else:
                for pod in behind:
                    for number in pod.numbers(port, protocol):
                        yield f"ip daddr {pod.address} {kind} dport {number} "

    def _allowed(self, policy: Resource, pod: Pod, direction: str) -> Iterator[str]:
        side, key = ("saddr", "from") if direction == "ingress" else ("daddr", "to")
        for rule in policy["spec"].get(direction) or []:
            for address, behind in self._peers(pod.namespace, rule.get(key) or [], side):
                for port in self._ports(rule.get("ports") or [], pod, behind, direction):
                    yield f"{address}{port}return"

    def _about(self, pod: Pod, direction: str) -> list[Resource]:
        found = []
        for policy in self.policies:
            spec = policy["spec"]
            types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
            if (
                policy["metadata"]["namespace"] == pod.namespace
                and direction.capitalize() in types
                and selects(spec.get("podSelector") or {}, pod.labels)
            ):
                found.append(policy)
        return found

    def table(self) -> str:
        """The whole table, as input for ``nft -f -``."""
        chains: list[str] = []
        jumps: dict[str, list[str]] = {"ingress": [], "egress": []}
        for pod in self.pods:
            for direction in jumps:
                policies = self._about(pod, direction)
                if not policies:
                    continue
                name = f"{direction}_{pod.address.replace('.', '_')}"
                jumps[direction].append(f"{pod.address} : jump {name}")
                body = [line for policy in policies for line in self._allowed(policy, pod, direction)]
                chains.append(f"chain {name} {{\n" + "\n".join([*body, "counter drop"]) + "\n}")
        into, out_of = (
            f"ip {side} vmap {{ {', '.join(jumps[direction])} }}" if jumps[direction] else ""
            for direction, side in (("ingress", "daddr"), ("egress", "saddr"))
        )
        hook = "type filter hook {} priority filter + 20; policy accept;\nct state established,related accept"
        chains.append(f"chain forward {{\n{hook.format('forward')}\n{out_of}\n{into}\n}}")
        chains.append(f"chain input {{\n{hook.format('input')}\n{out_of}\n}}")
        body_of_table = "\n".join(chains)
        return f"table ip policies\ndelete table ip policies\ntable ip policies {{\n{body_of_table}\n}}\n"


class Api:
    """Lists resources from the API server over one kept connection."""

    def __init__(self, server: str, certificates: Path) -> None:
        self._context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        self._context.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
        self._address = urlsplit(server)
        self._connection: http.client.HTTPSConnection | None = None

    def items(self, path: str) -> list[Resource]:
        """The items of a list request."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._address.hostname or "", self._address.port, context=self._context, timeout=5
            )
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection = None
            raise
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status}")
        items: list[Resource] = json.loads(body)["items"]
        return items


def main(server: str, certificates: Path) -> None:
    """Keep the table equal to the policies until killed."""
    api, last = Api(server, certificates), ""
    while True:
        try:
            pods, namespaces = api.items("/api/v1/pods"), api.items("/api/v1/namespaces")
            policies = api.items("/apis/networking.k8s.io/v1/networkpolicies")
            table = Rules(pods, namespaces, policies).table()
            if table != last:
                subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
                last = table
                print(time.strftime("%T"), f"{len(policies)} policies applied", flush=True)
        except (OSError, http.client.HTTPException, subprocess.CalledProcessError) as error:
            print(time.strftime("%T"), f"again in {PERIOD_SECONDS} s: {error!r}", file=sys.stderr, flush=True)
        time.sleep(PERIOD_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
