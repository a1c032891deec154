"""What is wrong is said within 20 s, with a reason and a remedy, and heals without help once it is put right."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from demo.parts import GPUS
from sample_catalogue import load
from sample_catalogue.index import index_definition
from tests.cluster.index_bed import CATALOGUE_PREFIX, Bed
from tests.testbed.cluster import patch_gpu

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

TOLD_WITHIN = 20.0
HEALED_WITHIN = 40.0
PRODUCTS = 60


def milvus(**change: object) -> dict[str, object]:
    return {"spec": {"vectorStore": {"milvus": change}}}


def elasticsearch(**change: object) -> dict[str, object]:
    return {"spec": {"catalogue": {"elasticsearch": change}}}


NO_SECRET = "no-secret"
EMPTY = "empty"


@pytest.fixture(scope="module")
def mended(bed: Bed) -> Iterator[None]:
    """Two indexes stay until the end of the module: once put right they are built while other tests run."""
    yield
    for name in (NO_SECRET, EMPTY):
        bed.delete(name)
        with bed.elasticsearch() as client:
            client.indices.delete(index=CATALOGUE_PREFIX + name, ignore_unavailable=True)
    # The index could not have been deleted without it.
    bed.k("delete", "secret", "milvus-login", "--ignore-not-found")


@pytest.mark.usefixtures("mended")
def test_a_missing_secret(bed: Bed) -> None:
    name = NO_SECRET
    bed.load_catalogue(name, PRODUCTS)
    bed.apply(bed.resource(name, milvus(credentialsSecretRef={"name": "milvus-login"})))
    told = bed.await_condition(name, "VectorStoreReady", "False", "SecretMissing", TOLD_WITHIN)
    assert "spec.vectorStore.milvus.credentialsSecretRef names Secret milvus-login" in told["message"]
    assert told["message"].endswith("create it")
    assert bed.await_condition(name, "Stalled", "True", "SecretMissing", TOLD_WITHIN)
    bed.k("create", "secret", "generic", "milvus-login", "--from-literal=token=root:Milvus")
    bed.await_condition(name, "VectorStoreReady", "True", "Loaded", HEALED_WITHIN)


def test_more_replicas_than_query_nodes(bed: Bed, names: list[str]) -> None:
    name = "two-replicas"
    names.append(name)
    bed.load_catalogue(name, PRODUCTS)
    bed.apply(bed.resource(name, milvus(replicas=2)))
    told = bed.await_condition(name, "VectorStoreReady", "False", "NotEnoughQueryNodes", TOLD_WITHIN)
    assert "add query nodes, or lower spec.vectorStore.milvus.replicas from 2" in told["message"]
    bed.patch(name, milvus(replicas=1))
    bed.await_condition(name, "VectorStoreReady", "True", "Loaded", HEALED_WITHIN)


@pytest.mark.usefixtures("mended")
def test_an_empty_catalogue(bed: Bed) -> None:
    name = EMPTY
    index = CATALOGUE_PREFIX + name
    with bed.elasticsearch() as client:
        client.indices.create(index=index, **index_definition())
    bed.apply(bed.resource(name))
    told = bed.await_condition(name, "CatalogueReady", "False", "CatalogueEmpty", TOLD_WITHIN)
    assert f"index {index} holds no document; load the catalogue" in told["message"]
    assert bed.pods(name, "build") == [], "nothing is to be built from an empty catalogue"
    with bed.elasticsearch() as client:
        load(client, index, PRODUCTS)
    bed.await_condition(name, "CatalogueReady", "True", "Reachable", HEALED_WITHIN)


def test_a_missing_catalogue(bed: Bed, names: list[str]) -> None:
    name = "no-catalogue"
    names.append(name)
    bed.apply(bed.resource(name))
    told = bed.await_condition(name, "CatalogueReady", "False", "IndexNotFound", TOLD_WITHIN)
    assert "create it, or correct spec.catalogue.elasticsearch.index" in told["message"]
    bed.load_catalogue(name, PRODUCTS)
    bed.await_condition(name, "CatalogueReady", "True", "Reachable", HEALED_WITHIN)


def test_a_wrong_port_of_milvus(bed: Bed, names: list[str]) -> None:
    name = "wrong-milvus"
    names.append(name)
    bed.load_catalogue(name, PRODUCTS)
    right = bed.inside.milvus_uri.removeprefix("http://")
    bed.apply(bed.resource(name, milvus(endpoint=right.replace("19530", "19531"))))
    told = bed.await_condition(name, "VectorStoreReady", "False", "Unreachable", TOLD_WITHIN)
    assert "19531" in told["message"]
    assert "check its pods, Service and NetworkPolicies" in told["message"]
    bed.patch(name, milvus(endpoint=right))
    bed.await_condition(name, "VectorStoreReady", "True", "Loaded", HEALED_WITHIN)


def test_a_wrong_port_of_elasticsearch(bed: Bed, names: list[str]) -> None:
    name = "wrong-catalogue"
    names.append(name)
    bed.load_catalogue(name, PRODUCTS)
    right = bed.inside.elasticsearch_url
    bed.apply(bed.resource(name, elasticsearch(endpoint=right.replace("9200", "9201"))))
    told = bed.await_condition(name, "CatalogueReady", "False", "Unreachable", TOLD_WITHIN)
    assert "9201" in told["message"]
    bed.patch(name, elasticsearch(endpoint=right))
    bed.await_condition(name, "CatalogueReady", "True", "Reachable", HEALED_WITHIN)


@pytest.fixture
def few_gpus(bed: Bed) -> Iterator[None]:
    if bed.cluster.kind == "given":
        pytest.skip("the nodes of a given cluster are not ours to change")
    yield
    patch_gpu(bed.cluster, 2 * GPUS)


@pytest.mark.usefixtures("few_gpus")
def test_too_few_gpus(bed: Bed, names: list[str]) -> None:
    name = "no-gpus"
    names.append(name)
    bed.load_catalogue(name, PRODUCTS)
    bed.apply(bed.resource(name, {"spec": {"encoder": {"accelerator": {"count": 16}}}}))
    told = bed.await_condition(name, "EncoderReady", "False", "Unschedulable", TOLD_WITHIN)
    assert "Insufficient nvidia.com/gpu" in told["message"]
    assert "add nodes that fit, or lower the replicas" in told["message"]
    patch_gpu(bed.cluster, 16 + 2 * GPUS)
    bed.await_condition(name, "EncoderReady", "True", "Ready", 90)


def test_every_event_of_a_blocked_index_names_it(bed: Bed, names: list[str]) -> None:
    name = "told"
    names.append(name)
    bed.apply(bed.resource(name))
    bed.await_condition(name, "CatalogueReady", "False", "IndexNotFound", TOLD_WITHIN)
    found = json.loads(
        bed.k("get", "events", "--field-selector", f"involvedObject.name={name}", "-o", "json")
    )["items"]
    assert any(event["type"] == "Warning" and "IndexNotFound" in event["reason"] for event in found), found


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("name", [NO_SECRET, EMPTY])
def test_what_was_put_right_is_served_without_more_help(bed: Bed, name: str) -> None:
    bed.await_ready(name)
