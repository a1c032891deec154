"""The operator on a Milvus of two query nodes: each release has a replica on either, also through a switch and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.index_status import is_ready
from tests.cluster.index_bed import Bed, eventually
from tests.cluster.query_load import constant_queries
from tests.cluster.test_index_switch import active, moved_to, releases
from tests.integration.cable import Cable
from tests.testbed.stores.two_node_milvus import TwoNodeMilvus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAME, PRODUCTS = "replicated", 200
CHANGES = {
    "spec": {
        "vectorStore": {"milvus": {"replicas": 2}},
        "search": {"replicas": 2},
        "rollout": {"watch": "0s"},
    }
}


@pytest.fixture(scope="module")
def two_nodes(bed: Bed) -> Iterator[Bed]:
    """The bed, with a Milvus of two query nodes beside the cluster. Pods reach it over a cable."""
    if bed.cluster.host_address is None:
        pytest.skip("pods of this cluster can't reach servers of this machine")
    with TwoNodeMilvus() as milvus:
        server = urlsplit(milvus.uri)
        with Cable(server.hostname or "", server.port or 0, bed.cluster.host_address) as cable:
            made = replace(
                bed,
                local=replace(bed.local, milvus_uri=milvus.uri),
                inside=replace(bed.inside, milvus_uri=f"http://{cable.address}"),
            )
            yield made
            made.delete(NAME)


def leaders(bed: Bed, collection: str) -> list[set[int]]:
    """For each replica of a collection the query nodes that lead its shards."""
    with bed.milvus() as client:
        replicas: Any = client.describe_replica(collection, timeout=10)
    return [{shard.shard_leader for shard in replica.shards} for replica in replicas]


def test_two_replicas_are_built_switched_to_and_gone_back_from(two_nodes: Bed) -> None:
    bed = two_nodes
    bed.load_catalogue(NAME, PRODUCTS)
    bed.apply(bed.resource(NAME, CHANGES))
    first = active(bed.await_ready(NAME))
    with constant_queries(bed, NAME) as load:
        bed.patch(NAME, {"spec": {"vectorStore": {"milvus": {"index": {"m": 32}}}}})
        index = bed.follow(NAME, lambda i: is_ready(i) and active(i) != first, "another graph")
        second = active(index)
        gates = {gate["name"]: gate for gate in releases(index)["Active"]["gates"]}
        assert (gates["ReplicasLoaded"]["result"], gates["ReplicasLoaded"]["value"]) == ("Passed", "2")
        for role in ("Active", "Previous"):
            nodes = leaders(bed, releases(index)[role]["collection"])
            assert len(nodes) == 2
            assert nodes[0].isdisjoint(nodes[1]), f"one node holds both replicas: {nodes}"
        bed.patch(NAME, {"spec": {"rollout": {"rollbackTo": first}}})
        bed.follow(NAME, moved_to(first), "the rollback", 20)
        seen = len(load.answers)
        eventually(lambda: len(load.answers) > seen + 10, "ten more answers", 20)
    assert load.failed == []
    assert set(load.releases()) == {first, second}
    assert {answer.release for answer in load.answers[-4:]} == {first}
