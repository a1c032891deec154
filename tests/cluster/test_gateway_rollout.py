"""Gateways come, go and are replaced under load, policies and entries change: no query is lost by any of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from demo.index_status import condition
from tests.cluster.index_bed import Bed, Object, eventually
from tests.cluster.query_load import QueryLoad, constant_queries

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAME = "fronted"
PRODUCTS = 200
GATEWAYS = 3
SEEN_BY_ALL_SECONDS = 10.0


def search(**changes: Any) -> Object:
    """A change of spec.search."""
    return {"spec": {"search": changes}}


@pytest.fixture(scope="module")
def fronted(bed: Bed) -> Iterator[str]:
    """An index with three gateways; the tests below leave it so."""
    bed.load_catalogue(NAME, PRODUCTS)
    bed.apply(bed.resource(NAME, search(replicas=GATEWAYS)))
    bed.await_ready(NAME)
    await_gateways(bed, GATEWAYS)
    yield NAME
    bed.delete(NAME)


def await_gateways(bed: Bed, count: int) -> None:
    """All gateways are of the present template and ready, and none is on its way out."""

    def settled(deployment: Object) -> bool:
        said = deployment.get("status", {})
        return (
            said.get("observedGeneration") == deployment["metadata"]["generation"]
            and deployment["spec"]["replicas"] == count
            and [said.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas")] == [count] * 3
        )

    bed.follow(f"{NAME}-gateway", settled, f"{count} gateways to be all there is", 180, "deployment")
    eventually(lambda: len(bed.pods(NAME, "gateway")) == count, f"{count} pods of gateways to be left", 90)


def uids(bed: Bed) -> set[str]:
    return {pod["metadata"]["uid"] for pod in bed.pods(NAME, "gateway")}


def await_answers(load: QueryLoad, more: int = 20) -> None:
    """Queries go on after what happened."""
    seen = len(load.answers)
    eventually(lambda: len(load.answers) > seen + more, f"{more} more answers", 30)


def lost(load: QueryLoad) -> list[Any]:
    """Queries that got no answer; one that is answered by words while machines are busy is none."""
    return [answer for answer in load.answers if answer.status != 200]


def test_a_roll_out_replaces_every_gateway_without_losing_a_query(bed: Bed, fronted: str) -> None:
    before = uids(bed)
    with constant_queries(bed, fronted, threads=4) as load:
        await_answers(load)
        bed.patch(fronted, search(resources={"requests": {"cpu": "21m", "memory": "64Mi"}}))
        eventually(lambda: uids(bed).isdisjoint(before), "every gateway to be another one", 240)
        await_gateways(bed, GATEWAYS)
        await_answers(load)
    assert lost(load) == []
    assert len(load.answers) > 100, "that was no load"


def test_a_scale_down_and_up_loses_no_query(bed: Bed, fronted: str) -> None:
    with constant_queries(bed, fronted, threads=4) as load:
        await_answers(load)
        for count in (1, GATEWAYS):
            bed.patch(fronted, search(replicas=count))
            await_gateways(bed, count)
            await_answers(load)
    assert lost(load) == []


def test_a_policy_is_in_force_in_seconds_and_nothing_restarts(bed: Bed, fronted: str) -> None:
    before, release = uids(bed), bed.index(fronted)["status"]["activeRelease"]
    old = bed.index(fronted)["status"]["search"]["policy"]
    with constant_queries(bed, fronted) as load:
        began = time.monotonic()
        bed.patch(fronted, search(synonyms=["便宜, 实惠, 性价比高", "耳麦 => 耳机"]))

        def held(index: Object) -> bool:
            said = index["status"].get("search", {})
            return bool(said.get("policy") != old and said.get("onPolicy") == GATEWAYS)

        told = bed.follow(fronted, held, "all gateways to hold the policy", SEEN_BY_ALL_SECONDS)
        print(f"the status said so {time.monotonic() - began:.2f} s after the change")
        await_answers(load)
    assert lost(load) == []
    assert uids(bed) == before
    assert told["status"]["activeRelease"] == release
    assert [r["role"] for r in told["status"]["releases"]] == ["Active"]
    with bed.gateway(fronted) as gateway:
        said = gateway.get("/release").raise_for_status().json()
    assert said["policy"] == told["status"]["search"]["policy"]
    assert condition(told, "SearchReady")["message"] == f"{GATEWAYS} of {GATEWAYS} gateways serve {release}"


def test_an_ingress_comes_is_mended_and_goes(bed: Bed, fronted: str) -> None:
    bed.patch(fronted, search(entry={"ingress": {"host": "search.example.com"}}))
    # Nobody serves Ingresses here.
    bed.await_condition(fronted, "EntryReady", "Unknown", "NoAddress", 30)
    assert condition(bed.index(fronted), "Ready")["status"] == "True"
    name = f"{fronted}-entry"
    patch = '{"spec": {"rules": [{"host": "elsewhere.example.com"}]}}'
    bed.k("patch", "ingress", name, "--type=merge", "-p", patch)
    bed.follow(
        name,
        lambda i: i["spec"]["rules"][0]["host"] == "search.example.com",
        "the host to be mended",
        20,
        "ingress",
    )
    bed.patch(fronted, search(entry=None))
    eventually(lambda: not bed.k("get", "ingress", name, "--ignore-not-found", "-o", "name"), "it to go", 20)
    eventually(lambda: not condition(bed.index(fronted), "EntryReady"), "nothing to be said of it", 20)


def test_a_route_is_missed_where_it_is_not_served(bed: Bed, fronted: str) -> None:
    bed.patch(fronted, search(entry={"httpRoute": {"parentRefs": [{"name": "front"}]}}))
    told = bed.await_condition(fronted, "EntryReady", "False", "NotServed", 30)
    assert "install the Gateway API" in told["message"]
    assert condition(bed.index(fronted), "Ready")["status"] == "True"
    with bed.gateway(fronted) as gateway:
        answer: httpx.Response = gateway.get("/search", params={"q": "蓝牙耳机"})
    assert answer.status_code == 200
    bed.patch(fronted, search(entry=None))
