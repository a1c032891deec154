"""What a query is answered, on a real Milvus, a real Elasticsearch and the real encoder server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.gateway_bed import QUERIES, SCORE_TOLERANCE, GatewayProcess
from tests.integration.gateway_fixtures import PRODUCTS, Shop, shop

__all__ = ["shop"]

pytestmark = pytest.mark.stores


# What is answered is asked here, not how fast: a busy machine gets its time.
PATIENT = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")}


@pytest.fixture(scope="module")
def gateway(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), **PATIENT) as process:
        process.serve(shop.blue.snapshot)
        yield process


def test_the_hits_are_the_nearest_by_brute_force(shop: Shop, gateway: GatewayProcess) -> None:
    found = 0
    for query in QUERIES:
        answer = gateway.search(query, 10).json()
        wanted = shop.blue.nearest(query, 10)
        hits = answer["hits"]
        # Products with one text have one vector: any of them may come first.
        assert hits[0]["score"] == pytest.approx(wanted[0][1], abs=SCORE_TOLERANCE), query
        for hit in hits:
            assert hit["score"] == pytest.approx(shop.blue.score(query, hit["id"]), abs=SCORE_TOLERANCE)
        found += sum(hit["score"] >= wanted[-1][1] - SCORE_TOLERANCE for hit in hits)
        assert answer["release"] == shop.blue.snapshot.release
        assert answer["fingerprint"] == shop.blue.snapshot.fingerprint
        assert (answer["path"], answer["degraded"], answer["dropped"], answer["total"]) == (
            "semantic",
            [],
            0,
            10,
        )
        assert [hit["rank"] for hit in hits] == list(range(1, 11))
    assert found / (10 * len(QUERIES)) >= 0.99


def test_fields_are_the_catalogues(shop: Shop, gateway: GatewayProcess) -> None:
    for hit in gateway.search(QUERIES[0], 100).json()["hits"]:
        source = shop.elasticsearch.get(index=shop.index, id=hit["id"])["_source"]
        for field in ("title", "brand", "category", "price", "stock"):
            assert hit[field] == source[field]


def test_price_and_stock_are_live(shop: Shop, gateway: GatewayProcess) -> None:
    first = gateway.search(QUERIES[1], 1).json()["hits"][0]
    change = {"price": first["price"] + 1.5, "stock": 0}
    # No refresh: even Elasticsearch's own search does not see this yet.
    shop.elasticsearch.update(index=shop.index, id=first["id"], doc=change, refresh=False)
    now = gateway.search(QUERIES[1], 1).json()["hits"][0]
    assert now == {**first, **change}


def test_a_deleted_product_is_dropped_and_counted(shop: Shop, gateway: GatewayProcess) -> None:
    before = gateway.search(QUERIES[2], 10).json()
    gone = before["hits"][0]["id"]
    source = shop.elasticsearch.get(index=shop.index, id=gone)["_source"]
    shop.elasticsearch.delete(index=shop.index, id=gone)
    try:
        answer = gateway.search(QUERIES[2], 10).json()
    finally:
        shop.elasticsearch.index(index=shop.index, id=gone, document=source)
    # More than k are asked for: what is gone makes room for the next.
    assert (answer["dropped"], answer["total"], answer["degraded"]) == (1, 10, [])
    assert [hit["id"] for hit in answer["hits"][:9]] == [hit["id"] for hit in before["hits"][1:]]
    assert [hit["rank"] for hit in answer["hits"]] == list(range(1, 11))
    assert answer["hits"][9]["title"] is not None
    assert gateway.search(QUERIES[2], 10).json()["dropped"] == 0


def test_what_leaves_the_filter_is_dropped_although_it_is_in_the_catalogue(
    shop: Shop, tmp_path: Path
) -> None:
    catalogue = shop.blue.snapshot.catalogue.model_copy(update={"filter": "stock:>0"})
    snapshot = shop.blue.snapshot.model_copy(update={"catalogue": catalogue})
    with GatewayProcess(tmp_path, **PATIENT) as filtered:
        filtered.serve(snapshot)
        before = filtered.search(QUERIES[4], 10).json()
        first = before["hits"][0]
        assert all(hit["stock"] > 0 for hit in before["hits"])
        shop.elasticsearch.update(index=shop.index, id=first["id"], doc={"stock": 0}, refresh=True)
        try:
            after = filtered.search(QUERIES[4], 10).json()
        finally:
            shop.elasticsearch.update(
                index=shop.index, id=first["id"], doc={"stock": first["stock"]}, refresh=True
            )
        assert (after["dropped"], after["total"], after["degraded"]) == (before["dropped"] + 1, 10, [])
        assert [hit["id"] for hit in after["hits"][:9]] == [hit["id"] for hit in before["hits"][1:]]


def test_a_query_is_understood_the_same_in_full_width(shop: Shop, gateway: GatewayProcess) -> None:
    plain, wide = gateway.search("USB-C 数据线").json(), gateway.search(" ＵＳＢ－Ｃ　数据线 ").json()
    assert plain["query"] == wide["query"] == "USB-C 数据线"
    assert plain["hits"] == wide["hits"]


@pytest.mark.parametrize("k", [1, 100])
def test_k_is_the_number_of_hits(shop: Shop, gateway: GatewayProcess, k: int) -> None:
    assert len(gateway.search(QUERIES[3], k).json()["hits"]) == k
    assert k < PRODUCTS


def test_the_release_in_use_is_told(shop: Shop, gateway: GatewayProcess) -> None:
    snapshot = shop.blue.snapshot
    state = gateway.state()
    assert (state.release, state.fingerprint) == (snapshot.release, snapshot.fingerprint)
    assert (state.collection, state.revision) == (snapshot.milvus.collection, snapshot.revision())
    assert (state.next, state.prepared, state.waiting_for, state.leaving) == ("", False, {}, ())
    (traffic,) = state.traffic
    assert (traffic.release, traffic.failed, traffic.empty) == (snapshot.release, 0, 0)
    assert traffic.queries > len(QUERIES)
    assert traffic.p95_ms is not None
    assert 0 < traffic.p95_ms < 10_000
    metrics = httpx.get(f"{gateway.url}/metrics").text
    assert f'gateway_queries_total{{path="semantic",release="{snapshot.release}"}}' in metrics
    assert "gateway_ready 1.0" in metrics
