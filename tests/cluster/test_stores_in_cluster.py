"""The stores in the cluster answer, and their outages are what the tests of the product take them for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import grpc
import httpx
import pytest
from pymilvus import MilvusClient, MilvusException

from tests.testbed.cluster import Cluster, bring_up
from tests.testbed.stores import Stores, deploy, outage, reachable

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = bring_up("test", progress=print)
    deploy(made, progress=print)
    return made


@pytest.fixture(scope="module")
def stores(cluster: Cluster) -> Iterator[Stores]:
    """Both stores as this machine reaches them; they stay up for the other tests of the session."""
    with reachable(cluster) as addresses:
        yield addresses


@pytest.fixture
def collection(stores: Stores) -> Iterator[str]:
    """A collection with two rows."""
    name = f"kept_{uuid.uuid4().hex[:8]}"
    client = MilvusClient(stores.milvus_uri)
    client.create_collection(name, dimension=4, auto_id=False)
    client.insert(name, [{"id": 1, "vector": [1.0, 0, 0, 0]}, {"id": 2, "vector": [0, 1.0, 0, 0]}])
    yield name
    client.close()
    client = MilvusClient(stores.milvus_uri)
    client.drop_collection(name)
    client.close()


def ids(uri: str, name: str, seconds: float = 30) -> list[int]:
    """Ids of all rows, asked over a connection of its own."""
    client = MilvusClient(uri, timeout=seconds)
    try:
        rows = client.query(name, filter="id > 0", consistency_level="Strong", timeout=seconds)
    finally:
        client.close()
    return sorted(row["id"] for row in rows)


def test_deploying_again_restarts_nothing(cluster: Cluster, stores: Stores) -> None:
    pods = ("-n", "stores", "get", "pods", "-o", "jsonpath={.items[*].metadata.uid}")
    before = cluster.ask(*pods)
    deploy(cluster)
    assert cluster.ask(*pods) == before


def test_a_paused_milvus_answers_nobody_and_comes_back_with_its_rows(
    cluster: Cluster, stores: Stores, collection: str
) -> None:
    assert ids(stores.milvus_uri, collection) == [1, 2]
    # pymilvus lets a gRPC error through as it is when a deadline passes.
    with outage.paused(cluster, "milvus"), pytest.raises((MilvusException, grpc.RpcError)):
        ids(stores.milvus_uri, collection, seconds=3)
    assert ids(stores.milvus_uri, collection) == [1, 2]


def test_a_paused_elasticsearch_answers_nobody_and_comes_back_with_its_documents(
    cluster: Cluster, stores: Stores
) -> None:
    index = f"{stores.elasticsearch_url}/kept-{uuid.uuid4().hex[:8]}"
    with httpx.Client(trust_env=False, timeout=30) as client:
        settings = {"settings": {"number_of_replicas": 0}}
        client.put(index, json=settings).raise_for_status()
        client.put(f"{index}/_doc/1", json={"title": "小米"}).raise_for_status()
        with outage.paused(cluster, "elasticsearch"), pytest.raises(httpx.TransportError):
            client.get(f"{index}/_doc/1", timeout=3)
        assert client.get(f"{index}/_doc/1").json()["_source"] == {"title": "小米"}
        client.delete(index).raise_for_status()
