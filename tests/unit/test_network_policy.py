"""The embedded node's policy engine renders what the policies say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.cluster.node.network_policy import Rules, selects

Resource = dict[str, Any]


def pod(name: str, address: str, namespace: str = "a") -> Resource:
    return {
        "metadata": {"namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"podIP": address, "phase": "Running"},
    }


def policy(spec: Resource) -> Resource:
    return {"metadata": {"namespace": "a"}, "spec": spec}


NAMESPACES: list[Resource] = [
    {"metadata": {"name": "a"}},
    {"metadata": {"name": "b", "labels": {"team": "b"}}},
]
PODS = [pod("web", "10.0.0.1"), pod("client", "10.0.0.2"), pod("client", "10.0.0.3", "b")]


def chain(table: str, name: str) -> list[str]:
    lines = table.splitlines()
    start = lines.index(f"chain {name} {{")
    return lines[start + 1 : lines.index("}", start)]


def test_without_policies_nothing_is_refused() -> None:
    assert "drop" not in Rules(PODS, NAMESPACES, []).table()


@pytest.mark.parametrize(
    ("peers", "allowed"),
    [
        (
            [{"podSelector": {"matchLabels": {"app": "client"}}}],
            "ip saddr { 10.0.0.2 } tcp dport 8080 return",
        ),
        (
            [{"namespaceSelector": {"matchLabels": {"team": "b"}}}],
            "ip saddr { 10.0.0.3 } tcp dport 8080 return",
        ),
        (
            [{"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.1.1.0/24"]}}],
            "ip saddr 10.1.0.0/16 ip saddr != { 10.1.1.0/24 } tcp dport 8080 return",
        ),
        ([], "tcp dport 8080 return"),
    ],
)
def test_ingress_lets_in_the_named_peers_on_the_named_port(peers: list[Resource], allowed: str) -> None:
    spec = {
        "podSelector": {"matchLabels": {"app": "web"}},
        "ingress": [{"from": peers, "ports": [{"port": "http"}]}],
    }
    table = Rules(PODS, NAMESPACES, [policy(spec)]).table()
    assert chain(table, "ingress_10_0_0_1") == [allowed, "counter drop"]
    assert "ingress_10_0_0_2" not in table


def test_an_egress_policy_without_rules_refuses_everything_outgoing_only() -> None:
    table = Rules(PODS, NAMESPACES, [policy({"podSelector": {}, "policyTypes": ["Egress"]})]).table()
    assert chain(table, "egress_10_0_0_1") == ["counter drop"]
    assert chain(table, "egress_10_0_0_2") == ["counter drop"]
    assert "egress_10_0_0_3" not in table
    assert "chain ingress" not in table


def test_port_ranges_and_unnamed_protocols() -> None:
    ports = [{"port": 9000, "endPort": 9010}, {"protocol": "UDP"}]
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": ports}]}
    table = Rules(PODS, NAMESPACES, [policy(spec)]).table()
    expected = ["tcp dport 9000-9010 return", "meta l4proto udp return", "counter drop"]
    assert chain(table, "ingress_10_0_0_1") == expected


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "api"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_selector_expressions(expression: Resource, holds: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"app": "web"}) is holds
