"""Search by meaning and words, on a real Milvus, a real Elasticsearch and the real encoder server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from search_plane.gateway.catalogue_query import MARK_BEGINS, MARK_ENDS
from search_plane.gateway.fusion import fuse_in_tiers
from search_plane.release.policy import ExperimentPolicy, Fusion

from tests.integration.gateway_bed import CALM, QUERIES, GatewayProcess
from tests.integration.gateway_fixtures import PRODUCTS, Shop, shop
from tests.testbed.plane import wait_until

__all__ = ["shop"]

pytestmark = pytest.mark.stores

# What is answered is asked here, not how fast: a busy machine gets its time.
PATIENT = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")} | {
    "semantic_wait_ms": 10_000
}


@pytest.fixture(scope="module")
def gateway(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), **PATIENT) as process:
        process.serve(shop.blue.snapshot)
        yield process


def asked(gateway: GatewayProcess, q: str, k: int = 10, mode: str | None = "fused", **others: Any) -> Any:
    """The answer, which must be one, to the query as it is written: what is understood is asked elsewhere."""
    return gateway.search(q, k, mode, **{"understand": "false", **others}).raise_for_status().json()


def ids(answer: Any) -> list[str]:
    return [hit["id"] for hit in answer["hits"]]


def test_without_a_mode_it_is_the_policys(shop: Shop, gateway: GatewayProcess) -> None:
    answer = asked(gateway, QUERIES[0], mode=None)
    assert (answer["mode"], answer["path"], answer["degraded"], answer["total"]) == ("fused", "fused", [], 10)
    by_words = CALM.model_copy(update={"fusion": Fusion(mode="keyword")})
    gateway.mount_policy(by_words.to_json())
    try:
        wait_until("the policy to be taken", lambda: gateway.state().policy == by_words.revision())
        answer = asked(gateway, QUERIES[0], mode=None)
        assert (answer["mode"], answer["path"], answer["policy"]) == (
            "keyword",
            "keyword",
            by_words.revision(),
        )
        # A policy is no release: nothing was switched.
        assert gateway.state().revision == shop.blue.snapshot.revision()
        assert "gateway_release_switches_total 1.0" in gateway.metrics()
    finally:
        gateway.mount_policy(CALM.to_json())
        wait_until("it to be taken back", lambda: gateway.state().policy == CALM.revision())


def test_a_fused_answer_is_the_fusion_of_both_orders(gateway: GatewayProcess) -> None:
    for query in QUERIES:
        semantic = ids(asked(gateway, query, 50, "semantic"))
        keyword = ids(asked(gateway, query, 50, "keyword"))
        fused = asked(gateway, query, 10)
        expected = fuse_in_tiers(semantic[:50], keyword[:50], Fusion())[:10]
        assert ids(fused) == [one for one, _ in expected], query
        assert [hit["score"] for hit in fused["hits"]] == pytest.approx([score for _, score in expected])
        for hit in fused["hits"]:
            scores = hit["scores"]
            assert (scores["semantic"] is not None) or (scores["keyword"] is not None)
            assert (hit["id"] in keyword) == (scores["keyword"] is not None)
            assert scores["fused"] == hit["score"]
            assert hit["price"] is not None


def test_pages_neither_repeat_nor_skip(gateway: GatewayProcess) -> None:
    for mode in ("fused", "semantic", "keyword"):
        pages = [asked(gateway, QUERIES[0], 20, mode, offset=offset) for offset in range(0, 100, 20)]
        together = [one for page in pages for one in ids(page)]
        assert len(together) == len(set(together))
        assert [hit["rank"] for page in pages for hit in page["hits"]] == list(range(1, len(together) + 1))
        assert together[:40] == ids(asked(gateway, QUERIES[0], 40, mode))
        if mode != "keyword":
            assert len(together) == 100


def test_a_page_that_lies_too_deep_is_refused(gateway: GatewayProcess) -> None:
    refused = gateway.search(QUERIES[0], 10, "fused", offset=91)
    assert (refused.status_code, refused.json()["field"]) == (400, "offset")


@pytest.mark.parametrize("mode", ["fused", "semantic", "keyword"])
def test_hits_are_within_the_filters(shop: Shop, gateway: GatewayProcess, mode: str) -> None:
    first = asked(gateway, QUERIES[2], 10, mode)["hits"][0]
    price = first["price"]
    cases: tuple[dict[str, Any], ...] = (
        {"brand": first["brand"]},
        {"brand": [first["brand"], "华为"]},
        {"category": first["category"]},
        {"price_min": price, "price_max": price},
        {"in_stock": "true"},
        {"category": first["category"], "price_max": price, "brand": first["brand"]},
    )
    for case in cases:
        hits = asked(gateway, QUERIES[2], 10, mode, **case)["hits"]
        assert hits, case
        for hit in hits:
            brands = case.get("brand")
            assert brands is None or hit["brand"] in ([brands] if isinstance(brands, str) else brands)
            assert hit["category"] == case.get("category", hit["category"])
            assert case.get("price_min", 0) <= hit["price"] <= case.get("price_max", 1e9)
            assert "in_stock" not in case or hit["stock"] > 0
    nothing = asked(gateway, QUERIES[2], 10, mode, brand="没有这个品牌")
    assert (nothing["hits"], nothing["degraded"], nothing["dropped"]) == ([], [], 0)


def test_the_filter_is_held_against_the_product_as_it_is_now(shop: Shop, gateway: GatewayProcess) -> None:
    for mode in ("fused", "keyword"):
        first = asked(gateway, QUERIES[3], 10, mode, in_stock="true")["hits"][0]
        # No refresh: Elasticsearch's own search does not see this yet.
        shop.elasticsearch.update(index=shop.index, id=first["id"], doc={"stock": 0}, refresh=False)
        try:
            assert first["id"] not in ids(asked(gateway, QUERIES[3], 10, mode, in_stock="true"))
            assert first["id"] in ids(asked(gateway, QUERIES[3], 10, mode))
        finally:
            shop.elasticsearch.update(
                index=shop.index, id=first["id"], doc={"stock": first["stock"]}, refresh=True
            )


@pytest.mark.parametrize("mode", ["fused", "semantic", "keyword"])
def test_facets_count_what_matches_the_words(shop: Shop, gateway: GatewayProcess, mode: str) -> None:
    query = QUERIES[0]
    assert asked(gateway, query, 10, mode)["facets"] is None
    answer = asked(gateway, query, 10, mode, facets="true")
    facets, total = answer["facets"], answer["total_words"]
    assert 0 < total <= PRODUCTS
    assert sum(one["count"] for one in facets["price"]) == total
    assert 0 < facets["in_stock"] <= total
    brand = facets["brand"][0]
    of_brand = asked(gateway, query, 10, mode, facets="true", brand=brand["value"])
    assert of_brand["total_words"] == brand["count"]
    # Another brand can be chosen beside one: its own restriction does not narrow a facet.
    assert of_brand["facets"]["brand"] == facets["brand"]
    assert sum(one["count"] for one in of_brand["facets"]["price"]) == brand["count"]
    assert ids(of_brand) == ids(asked(gateway, query, 10, mode, brand=brand["value"]))


def test_words_are_marked_in_titles_whichever_side_found_them(gateway: GatewayProcess) -> None:
    plain = asked(gateway, QUERIES[0])
    assert all(hit["highlight"] is None for hit in plain["hits"])
    for mode in ("fused", "semantic", "keyword"):
        answer = asked(gateway, "蓝牙耳机", 10, mode, highlight="true")
        marked = [hit for hit in answer["hits"] if hit["highlight"]]
        assert marked
        for hit in marked:
            assert hit["highlight"].replace(MARK_BEGINS, "").replace(MARK_ENDS, "") == hit["title"]
            assert MARK_BEGINS in hit["highlight"]
        for hit in answer["hits"]:
            assert bool(hit["highlight"]) == bool(set("蓝牙耳机") & set(hit["title"])), hit


def test_a_query_by_words_says_nothing_of_the_release(shop: Shop, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, **PATIENT) as gateway:
        gateway.serve(shop.blue.snapshot)
        for query in QUERIES[:3]:
            asked(gateway, query, mode="keyword")
        assert gateway.state().traffic == ()
        asked(gateway, QUERIES[0])
        (traffic,) = gateway.state().traffic
        assert (traffic.queries, traffic.failed) == (1, 0)


def test_equal_queries_are_found_once_and_joined_each_time(shop: Shop, tmp_path: Path) -> None:
    cached = {"vector_cache_entries": 100, "result_cache_entries": 100, "result_cache_seconds": 60}
    with GatewayProcess(tmp_path, **PATIENT, **cached) as gateway:
        gateway.serve(shop.blue.snapshot)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: asked(gateway, QUERIES[4]), range(8)))
        assert {tuple(ids(answer)) for answer in answers} == {tuple(ids(answers[0]))}
        hits = answers[0]["hits"]
        # The order is kept, price and stock never are.
        shop.elasticsearch.update(index=shop.index, id=hits[0]["id"], doc={"stock": 77_777}, refresh=False)
        try:
            again = asked(gateway, QUERIES[4])
        finally:
            shop.elasticsearch.update(
                index=shop.index, id=hits[0]["id"], doc={"stock": hits[0]["stock"]}, refresh=True
            )
        assert again["cached"] is True
        assert again["timings_ms"]["embed"] == again["timings_ms"]["keyword"] == 0.0
        assert again["hits"] == [{**hits[0], "stock": 77_777}, *hits[1:]]
        # The next page is another list by the same vector; another filter, another mode likewise.
        asked(gateway, QUERIES[4], 10, offset=60)
        assert asked(gateway, QUERIES[4], in_stock="true")["cached"] is False
        assert asked(gateway, QUERIES[4], mode="semantic")["cached"] is False
        metrics = gateway.metrics()
        assert 'gateway_cache_looks_total{cache="candidates",result="hit"}' in metrics
        assert 'gateway_stage_seconds_count{stage="embed"}' in metrics
        # Another release has its own: no order of one is ever given for the other.
        gateway.announce(shop.blue.snapshot, shop.green.snapshot)
        gateway.mount(shop.green.snapshot.to_json())
        wait_until("the switch", lambda: gateway.state().release == shop.green.snapshot.release)
        green = asked(gateway, QUERIES[4])
        assert (green["cached"], green["release"]) == (False, shop.green.snapshot.release)


def test_a_queries_own_time_is_told(gateway: GatewayProcess) -> None:
    started = time.monotonic()
    timings = asked(gateway, QUERIES[5], highlight="true", facets="true")["timings_ms"]
    assert all(timings[step] > 0 for step in ("embed", "vector", "keyword", "join", "total"))
    assert timings["total"] <= (time.monotonic() - started) * 1000


def test_what_is_understood_is_told_and_looked_for(shop: Shop, gateway: GatewayProcess) -> None:
    def learnt() -> bool:
        return bool(asked(gateway, "小米 充电器", understand="true")["understood"]["brands"])

    wait_until("the catalogue's words to be learnt", learnt, 60)
    told = asked(gateway, "200元以下的充电器", understand="true")
    assert told["understood"]["price_max"] == 200
    assert told["hits"]
    assert all(hit["price"] <= 200 for hit in told["hits"])
    unwanted = asked(gateway, "手机壳 不要苹果", understand="true")
    assert unwanted["understood"]["excluded"]
    assert all("苹果" not in hit["title"] for hit in unwanted["hits"])
    synonyms = CALM.model_copy(update={"synonyms": ("充电头, 充电器, 电源适配器",)})
    gateway.mount_policy(synonyms.to_json())
    try:
        wait_until("the synonyms to be taken", lambda: gateway.state().policy == synonyms.revision())
        (group,) = asked(gateway, "充电头", understand="true")["understood"]["alternatives"]
        assert set(group) == {"充电头", "充电器", "电源适配器"}
    finally:
        gateway.mount_policy(CALM.to_json())
        wait_until("them to be taken back", lambda: gateway.state().policy == CALM.revision())


def test_searches_and_clicks_are_logged_by_arm(shop: Shop, tmp_path: Path) -> None:
    arms = ExperimentPolicy(name="e", arms=(("keyword", 1.0),))
    policy = CALM.model_copy(update={"experiment": arms})
    with GatewayProcess(tmp_path, **PATIENT, search_log_destination="Stdout", search_log_salt="s") as gateway:
        gateway.mount_policy(policy.to_json())
        gateway.serve(shop.blue.snapshot)
        wait_until("the policy to be taken", lambda: gateway.state().policy == policy.revision())
        answer = gateway.search(QUERIES[0], 5, None, user="somebody").json()
        assert (answer["arm"], answer["mode"], answer["path"]) == ("keyword", "keyword", "keyword")
        first = answer["hits"][0]
        clicked = {"search_id": answer["search_id"], "id": first["id"], "rank": 1}
        assert httpx.post(f"{gateway.url}/click", json=clicked, timeout=5).status_code == 204
        gateway.search(QUERIES[1], 5, "fused", user="somebody")

        def events() -> list[dict[str, Any]]:
            lines = gateway.log().splitlines()
            return [json.loads(line) for line in lines if '"event_id"' in line]

        wait_until("three events to be written", lambda: len(events()) == 3, 20)
        shown, click, chosen = events()
    assert (shown["event"], shown["arm"], shown["experiment"]) == ("exposure", "keyword", "e")
    assert shown["hits"] == [hit["id"] for hit in answer["hits"]]
    assert (click["event"], click["search_id"], click["id"]) == ("click", shown["search_id"], first["id"])
    # The caller chose, the arm did not decide.
    assert (chosen["mode"], chosen["arm"]) == ("fused", None)
    assert "somebody" not in str((shown, click, chosen))
