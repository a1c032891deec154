"""Deleting an index removes exactly what it made, keeps what it is told to keep, and says what holds it up."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient
from search_plane.release.record import alias_name

from demo.cluster_access import get
from demo.parts import RESOURCE
from tests.cluster.index_bed import CATALOGUE_PREFIX, NAMESPACE, SERVED, Bed, eventually
from tests.testbed.stores import outage

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PRODUCTS = 120
RETAIN = {"spec": {"deletionPolicy": "Retain"}}


def has_alias(client: MilvusClient, name: str) -> bool:
    return any(
        alias_name(NAMESPACE, name) in client.list_aliases(c)["aliases"] for c in client.list_collections()
    )


@pytest.fixture
def foreign_collection(bed: Bed) -> Iterator[str]:
    """Somebody else's collection, called like one of ours but for what its description says."""
    name = f"{alias_name(NAMESPACE, 'deleted')}_r_{uuid.uuid4().hex[:8]}"
    with bed.milvus() as client:
        client.create_collection(name, dimension=4, auto_id=False)
    yield name
    with bed.milvus() as client:
        client.drop_collection(name)


INDEXES = ("deleted", "retained", "blocked", "unblocked")


@pytest.fixture(scope="module")
def indexes(bed: Bed, begun: None) -> Iterator[None]:
    """All indexes of this module and the session's, Ready: built at once, for each spends most of its time waiting."""
    for name in INDEXES:
        bed.load_catalogue(name, PRODUCTS)
        bed.apply(bed.resource(name))
    for name in (*INDEXES, SERVED):
        bed.await_ready(name)
    yield
    for name in INDEXES:
        bed.delete(name)
        with bed.elasticsearch() as client:
            client.indices.delete(index=CATALOGUE_PREFIX + name, ignore_unavailable=True)


@pytest.mark.usefixtures("indexes")
def test_deletion_removes_what_was_made_and_nothing_else(bed: Bed, foreign_collection: str) -> None:
    name = "deleted"
    (collection,) = set(bed.collections(name)) - {foreign_collection}
    with bed.milvus() as client:
        assert has_alias(client, name)
    children = bed.children(name)
    assert len(children) > 10
    others = {child["metadata"]["uid"] for child in bed.children(SERVED)}

    bed.delete(name)

    assert bed.collections(name) == [foreign_collection]
    with bed.milvus() as client:
        assert not has_alias(client, name)
        assert not client.has_collection(collection)
    eventually(lambda: not bed.children(name), "the children to be collected", 60)
    eventually(
        lambda: not any(bed.pods(name, c) for c in ("encoder", "gateway", "build")), "its pods to end", 90
    )
    assert len(bed.ids_in_catalogue(CATALOGUE_PREFIX + name)) == PRODUCTS
    assert {child["metadata"]["uid"] for child in bed.children(SERVED)} == others
    assert len(bed.collections(SERVED)) == 1
    bed.await_ready(SERVED)


@pytest.mark.usefixtures("indexes")
def test_retained_data_is_adopted_by_the_next_index_of_that_name(bed: Bed) -> None:
    name = "retained"
    (collection,) = bed.collections(name)
    bed.patch(name, RETAIN)
    bed.delete(name)
    assert bed.collections(name) == [collection]
    rows = bed.ids_in_milvus(collection)
    assert rows == bed.ids_in_catalogue(CATALOGUE_PREFIX + name)
    eventually(lambda: not bed.children(name), "the children to be collected", 60)

    bed.apply(bed.resource(name))
    build = bed.await_ready(name)["status"]["releases"][0]["build"]
    assert (build["embedded"], build["unchanged"]) == (0, PRODUCTS)
    assert bed.collections(name) == [collection]
    assert bed.ids_in_milvus(collection) == rows


@pytest.mark.usefixtures("indexes")
def test_deletion_without_milvus_says_the_way_out_and_goes_it(bed: Bed) -> None:
    name = "blocked"
    (collection,) = bed.collections(name)
    with outage.paused(bed.cluster, "milvus"):
        bed.k("delete", "ssi", name, "--wait=false")
        told = bed.await_condition(name, "Ready", "False", "DeletionBlocked", 30)
        assert "set spec.deletionPolicy to Retain" in told["message"]
        assert "milvus.stores.svc" in told["message"]
        bed.patch(name, RETAIN)
        bed.k("wait", "--for=delete", f"ssi/{name}", "--timeout=60s")
    assert bed.collections(name) == [collection]
    with bed.milvus() as client:
        client.drop_alias(alias_name(NAMESPACE, name))
        client.drop_collection(collection)


@pytest.mark.usefixtures("indexes")
def test_deletion_goes_on_by_itself_when_milvus_is_back(bed: Bed) -> None:
    name = "unblocked"
    with outage.paused(bed.cluster, "milvus"):
        bed.k("delete", "ssi", name, "--wait=false")
        bed.await_condition(name, "Ready", "False", "DeletionBlocked", 30)
    eventually(lambda: get(bed.cluster, RESOURCE, name, NAMESPACE) is None, "the index to be gone", 60)
    assert bed.collections(name) == []
