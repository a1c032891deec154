"""A Milvus of two query nodes: switches under load, a node that dies and comes back, and what searches see of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateway_bed import GatewayProcess
from tests.integration.pool_load import LIMIT, PoolLoad
from tests.integration.steady_load import Judge, SteadyLoad, Verdict
from tests.integration.two_node_bed import TwoNodeShop, outage, two_node_shop
from tests.testbed.plane import wait_until
from tests.testbed.stores.two_node_milvus import NODES, Node, TwoNodeMilvus

# The module's servers and releases take their time on a busy machine; each test bounds its own waits.
pytestmark = [pytest.mark.stores, pytest.mark.timeout(900)]

# Whether a query is lost or mixed is asked here, not how fast it is: a busy machine gets its time.
PATIENT = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "es", "total")}


@pytest.fixture(scope="module")
def milvus() -> Iterator[TwoNodeMilvus]:
    with TwoNodeMilvus() as server:
        print(f"\ntwo query nodes up in {server.start_seconds:.1f} s; MiB: {server.resident_mib}")
        yield server


@pytest.fixture(scope="module")
def shop(
    milvus: TwoNodeMilvus, elasticsearch_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoNodeShop]:
    with two_node_shop(milvus.uri, elasticsearch_url, tmp_path_factory.mktemp("two-nodes")) as made:
        yield made


def test_each_release_has_a_replica_on_either_node(shop: TwoNodeShop) -> None:
    for release in (shop.blue, shop.green):
        assert len(shop.replicas(release)) == 2
        assert len(shop.leading_nodes(release)) == 2


def test_switches_and_rollbacks_lose_and_mix_nothing(shop: TwoNodeShop, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, **PATIENT, milvus_timeout_ms=10_000) as gateway:
        gateway.serve(shop.blue.snapshot)
        before = shop.blue.snapshot
        with SteadyLoad(gateway.url) as load:
            for release in [shop.green, shop.blue] * 3:
                coming = release.snapshot
                gateway.announce(before, coming)
                load.await_replies(10)
                gateway.mount(coming.to_json())

                def in_use(name: str = coming.release) -> bool:
                    return load.replies[-1].body.get("release") == name

                wait_until(f"answers from {coming.release}", in_use)
                load.await_replies(20)
                before = coming
    judge = Judge(shop.blue, shop.green)
    found = judge.count(load.replies)
    print(f"\nsix switches under load: {dict(found)}")
    assert set(found) == {"whole"}, judge.tell(load.replies, "whole")
    assert set(Counter(reply.body["release"] for reply in load.replies)) == {
        release.snapshot.release for release in (shop.blue, shop.green)
    }


@pytest.mark.parametrize(("node", "given_up"), [(NODES[0], True), (NODES[1], False)])
def test_a_killed_node_fails_no_search_and_its_return_passes_on_no_wrong_answer(
    milvus: TwoNodeMilvus, shop: TwoNodeShop, tmp_path: Path, node: Node, given_up: bool
) -> None:
    """At the gateway's own deadline for Milvus, whether Milvus gave it up or it is back at once, as a restarted pod is."""
    with GatewayProcess(tmp_path, **PATIENT) as gateway:
        gateway.serve(shop.blue.snapshot)
        with SteadyLoad(gateway.url) as load, PoolLoad(shop.blue) as pools:
            # They have learned what to expect before anything happens.
            pools.await_verdicts(10)
            steps = outage(load, milvus, shop, node, given_up=given_up)
    judge = Judge(shop.blue)
    found = judge.count(load.replies)
    slowest = max(reply.seconds for reply in load.replies)
    at_rest = max(reply.seconds for reply in load.replies if reply.at + reply.seconds < steps.killed)
    print(f"\n{node}: {steps}, {dict(found)}, slowest {slowest:.2f} s, at rest {at_rest:.2f} s")
    good: tuple[Verdict, ...] = ("whole", "marked", "words")
    assert set(found) <= set(good), judge.tell(load.replies, *good)
    assert found["whole"] > len(load.replies) / 4
    print(f"pools of {LIMIT}: {dict(pools.verdicts)}, {dict(pools.extras)}")
    assert pools.verdicts["short"] == pools.verdicts["wrong"] == 0
    assert pools.verdicts["whole"] > pools.verdicts.total() / 4
