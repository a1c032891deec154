"""Two embedded clusters can be up at once: nothing of theirs has the same name or address."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.instance import Node


def test_demo_and_test_share_nothing() -> None:
    demo, test = Node("demo"), Node("test")
    nets = [
        ip_network(network, strict=False)
        for node in (demo, test)
        for network in (f"{node.host_ip}/24", node.pod_net, node.service_net)
    ]
    assert len(set(nets)) == 6
    assert {demo.home, demo.interface, demo.cgroup}.isdisjoint({test.home, test.interface, test.cgroup})


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a-b", "elevenchars"])
def test_a_name_that_would_not_fit_a_network_device_is_refused(name: str) -> None:
    with pytest.raises(TestbedError, match="lower-case"):
        Node(name)


def test_any_name_gets_addresses_that_exist() -> None:
    for name in ("a", "bench", "zzzzzzzzzz"):
        ip_network(Node(name).service_net)


def test_a_cache_that_would_vanish_inside_the_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSO_CACHE", "/var/lib/cache")
    with pytest.raises(TestbedError, match="SSO_CACHE"):
        cache_root()
    monkeypatch.setenv("SSO_CACHE", "/srv/cache")
    assert cache_root() == Path("/srv/cache")
