"""A build survives what happens to it: the operator killed, the build's pod killed, the collection dropped."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from demo.index_status import is_ready
from tests.cluster.index_bed import CATALOGUE_PREFIX, NAMESPACE, READY_SECONDS, Bed, Object, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PRODUCTS = 600
# A third of a core, so that there is a middle of the build to hit.
SLOW = {
    "spec": {
        "encoder": {"resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "300m", "memory": "2Gi"}}}
    }
}
# 4 requests of 32 texts, each of which may be asked twice when its answer is lost; rows wait a second to be written.
IN_FLIGHT = 256
# What the verify job embeds: documents to compare, sample queries, timed ones and those that warm up.
MEASURED = 64 + 200 + 20 + 200


def release(index: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(index.get("status", {}).get("releases", ())), {})
    return found


def done(index: dict[str, Any]) -> int:
    return int((release(index).get("progress") or {}).get("done", 0))


def in_the_middle(index: dict[str, Any]) -> bool:
    return PRODUCTS // 4 <= done(index) <= PRODUCTS * 3 // 4


def texts_embedded(bed: Bed, name: str) -> int:
    """How many texts the index's one encoder has computed, by its own metrics; queries included."""
    (pod,) = bed.pods(name, "encoder")
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
    said = bed.cluster.ask("get", "--raw", path)
    found = re.search(r"^encoder_batch_size_sum ([0-9.e+]+)$", said, re.MULTILINE)
    assert found, said[:500]
    return round(float(found[1]))


def assert_whole(bed: Bed, name: str) -> None:
    (collection,) = bed.collections(name)
    assert bed.ids_in_milvus(collection) == bed.ids_in_catalogue(CATALOGUE_PREFIX + name)


@pytest.fixture
def restored_operator(bed: Bed) -> Iterator[None]:
    yield
    eventually(
        lambda: any(
            c["type"] == "Ready" and c["status"] == "True"
            for pod in bed.operator_pods()
            for c in pod["status"].get("conditions", ())
        ),
        "an operator to run again",
        60,
    )


@pytest.mark.usefixtures("restored_operator")
def test_the_operator_is_killed_at_each_stage_and_at_random_moments(bed: Bed, names: list[str]) -> None:
    name = "killed"
    names.append(name)
    bed.load_catalogue(name, PRODUCTS)
    bed.apply(bed.resource(name, SLOW))
    for stage in ("Provisioning", "Building"):
        bed.follow(name, lambda i, stage=stage: release(i).get("stage") == stage, f"stage {stage}")  # type: ignore[misc]
        bed.kill_operator()
    seed = random.randrange(2**32)
    print(f"seed of the random moments: {seed}")
    moments = random.Random(seed)
    for _ in range(3):
        # The moment is to be random: not one that an event of ours picks.
        time.sleep(moments.uniform(1, 12))
        bed.kill_operator()
    bed.await_ready(name)
    assert_whole(bed, name)
    with bed.gateway(name) as gateway:
        answer = gateway.get("/search", params={"q": "蓝牙耳机", "k": 3}).raise_for_status().json()
    assert len(answer["hits"]) == 3


GRACES = {"resumed0": 0, "resumed30": 30}
DROPPED = "dropped"


def interrupted_build(bed: Bed, name: str, grace: int) -> Object:
    """Ends the build's pod in the middle of its work; returns the index once it is Ready all the same."""
    bed.load_catalogue(name, PRODUCTS)
    bed.apply(bed.resource(name, SLOW))
    bed.follow(name, in_the_middle, "to be in the middle of its build")
    (pod,) = bed.pods(name, "build")
    force = ["--force"] if grace == 0 else []
    bed.k("delete", "pod", pod["metadata"]["name"], *force, f"--grace-period={grace}")
    return bed.await_ready(name)


def plain_build(bed: Bed, name: str) -> Object:
    bed.load_catalogue(name, 300)
    bed.apply(bed.resource(name))
    return bed.await_ready(name)


@pytest.fixture(scope="module")
def builds(bed: Bed) -> Iterator[Mapping[str, Future[Object]]]:
    """Index by name when it is Ready, all built at once: each alone would leave most of the machine idle."""
    with ThreadPoolExecutor() as pool:
        begun = {name: pool.submit(interrupted_build, bed, name, grace) for name, grace in GRACES.items()}
        yield {**begun, DROPPED: pool.submit(plain_build, bed, DROPPED)}
    for name in (*GRACES, DROPPED):
        bed.delete(name)
        with bed.elasticsearch() as client:
            client.indices.delete(index=CATALOGUE_PREFIX + name, ignore_unavailable=True)


@pytest.mark.parametrize("name", GRACES, ids=["killed", "terminated"])
def test_a_build_whose_pod_goes_resumes_where_it_was(
    bed: Bed, builds: Mapping[str, Future[Object]], name: str
) -> None:
    ready = builds[name].result()
    assert_whole(bed, name)
    build = release(ready)["build"]
    assert build["embedded"] + build["unchanged"] == PRODUCTS
    assert build["unchanged"] >= PRODUCTS // 5, "the second run found little of the first one's work"
    assert PRODUCTS <= texts_embedded(bed, name) <= PRODUCTS + IN_FLIGHT + MEASURED


def test_a_collection_dropped_under_a_served_index_is_told_and_built_again(
    bed: Bed, builds: Mapping[str, Future[Object]]
) -> None:
    name = DROPPED
    builds[name].result()
    (collection,) = bed.collections(name)
    with bed.gateway(name) as gateway:
        question: dict[str, str | int] = {"q": "便宜的蓝牙耳机", "k": 50, "mode": "semantic"}
        before = [
            hit["id"] for hit in gateway.get("/search", params=question).raise_for_status().json()["hits"]
        ]
        with bed.milvus() as client:
            client.drop_alias(collection.rsplit("_r_", 1)[0])
            client.drop_collection(collection)
        told = bed.await_condition(name, "VectorStoreReady", "Unknown", "CollectionGone", 30)
        assert collection in told["message"]
        instead: list[str] = []

        def answers_again() -> bool:
            """Asks once; an answer by meaning must be whole, whenever it comes, and another must say what it is."""
            response = gateway.get("/search", params=question)
            if response.status_code == 503:
                assert response.headers["Retry-After"]
                instead.append("refused")
                return False
            answer = response.raise_for_status().json()
            if answer["path"] == "keyword":
                assert "semantic" in answer["degraded"]
                instead.append("keyword")
                return False
            assert answer["path"] == "semantic"
            assert [hit["id"] for hit in answer["hits"]] == before
            # An order that was kept says nothing of the collection.
            return not answer["cached"]

        eventually(answers_again, "the gateway to answer by meaning again", READY_SECONDS)
        assert instead, "the gateway found the nearest in a collection that was gone"
    bed.follow(name, is_ready, "to be Ready")
    assert_whole(bed, name)
