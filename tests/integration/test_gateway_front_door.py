"""What a query meets besides its two searches, on real parts: words, experiment, search log, re-ranker, breakers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from search_plane.gateway.experiment import arm_of
from search_plane.gateway.protection.breakers import GUARDED
from search_plane.release.policy import ExperimentPolicy, RerankerPolicy, SearchPolicy

from tests.integration.gateway_bed import CALM, GatewayProcess
from tests.integration.gateway_fixtures import Shop, shop
from tests.testbed.plane import EncoderServer, wait_until
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny_reranker import TinyReranker

__all__ = ["shop"]

pytestmark = pytest.mark.stores

PATIENT = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")} | {
    "semantic_wait_ms": 10_000
}
LEARNT_SECONDS = 60.0


@pytest.fixture(scope="module")
def gateway(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {"search_log_destination": "Stdout", "search_log_salt": "a salt of the test's"}
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), **PATIENT, **settings) as process:
        process.serve(shop.blue.snapshot)
        wait_until("the catalogue's words to be learnt", lambda: brands_known(process) > 0, LEARNT_SECONDS)
        yield process


@pytest.fixture
def policy(gateway: GatewayProcess) -> Iterator[Any]:
    """Sets parts of the policy for one test."""

    def follow(**parts: Any) -> SearchPolicy:
        policy = CALM.model_copy(update=parts)
        gateway.mount_policy(policy.to_json())
        wait_until("the policy to be taken", lambda: gateway.state().policy == policy.revision())
        return policy

    yield follow
    follow()


def brands_known(gateway: GatewayProcess) -> int:
    (line,) = [x for x in gateway.metrics().splitlines() if x.startswith("gateway_lexicon_brands ")]
    return int(float(line.split()[1]))


def asked(gateway: GatewayProcess, q: str, headers: dict[str, str] | None = None, **others: Any) -> Any:
    answer = httpx.get(f"{gateway.url}/search", params={"q": q, **others}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(gateway: GatewayProcess, search_id: str, kind: str) -> list[dict[str, Any]]:
    """The search log's lines of one search, as they come out of the process."""
    lines = [json.loads(line) for line in gateway.log().splitlines() if f'"{search_id}"' in line]
    return [line for line in lines if line.get("event") == kind]


def test_a_query_is_understood_by_the_catalogues_own_words(gateway: GatewayProcess) -> None:
    charger = asked(gateway, "小米手机充电器")
    assert (charger["understood"]["brands"], charger["understood"]["brand_certain"]) == (["小米"], True)
    assert charger["hits"]
    assert {hit["brand"] for hit in charger["hits"]} == {"小米"}
    grain = asked(gateway, "熬粥的小米")
    assert grain["understood"]["brands"] == []
    assert any("小米" in hit["title"] and hit["brand"] != "小米" for hit in grain["hits"])


@pytest.mark.parametrize("mode", ["fused", "semantic", "keyword"])
def test_what_the_query_rules_out_is_no_hit_either_way(gateway: GatewayProcess, mode: str) -> None:
    other = asked(gateway, "非小米手机", mode=mode)
    assert other["understood"]["excluded_brands"] == ["小米"]
    assert other["hits"]
    assert all(hit["brand"] != "小米" and "小米" not in hit["title"] for hit in other["hits"])
    cheap = asked(gateway, "200元以下的耳机", mode=mode)
    assert (cheap["understood"]["price_max"], cheap["understood"]["text"]) == (200, "耳机")
    assert cheap["hits"]
    assert all(hit["price"] <= 200 for hit in cheap["hits"])


def test_synonyms_of_the_policy_are_in_force_without_a_reindex(gateway: GatewayProcess, policy: Any) -> None:
    before = asked(gateway, "嗡呜", mode="keyword")
    assert (before["total"], before["understood"]["alternatives"]) == (0, [])
    policy(synonyms=("嗡呜 => 耳机",))
    after = asked(gateway, "嗡呜", mode="keyword")
    assert after["understood"]["alternatives"] == [["嗡呜", "耳机"]]
    assert after["hits"]
    assert all("耳机" in f"{hit['title']}{hit['category']}" for hit in after["hits"])
    refused = gateway.state().policy
    gateway.mount_policy('{"synonyms": ["嗡呜"]}')
    wait_until("the bad line to be refused", lambda: "policy.json" in gateway.state().waiting_for)
    assert "line 1" in gateway.state().waiting_for["policy.json"]
    assert gateway.state().policy == refused


@pytest.mark.parametrize("query", ["便宜的蓝牙耳机", "小米手机充电器", "iPhone 15 手机壳", "小米手机壳"])
@pytest.mark.parametrize("mode", ["fused", "semantic", "keyword"])
def test_pages_of_an_understood_query_neither_repeat_nor_skip(
    gateway: GatewayProcess, query: str, mode: str
) -> None:
    pages = [asked(gateway, query, mode=mode, offset=offset) for offset in range(0, 100, 10)]
    together = [hit["id"] for page in pages for hit in page["hits"]]
    assert len(together) == len(set(together))
    whole = asked(gateway, query, mode=mode, k=50)["hits"]
    assert together[:50] == [hit["id"] for hit in whole]
    assert [hit["rank"] for hit in whole] == list(range(1, len(whole) + 1))


def test_an_experiments_arms_stick_and_the_log_tells_them_without_the_user(
    gateway: GatewayProcess, policy: Any
) -> None:
    experiment = ExperimentPolicy(name="both", arms=(("fused", 0.5), ("keyword", 0.5)))
    policy(experiment=experiment)
    arms = set()
    for number in range(12):
        key = f"someone-{number}"
        answers = [asked(gateway, "耳机", {"X-User-Key": key}) for _ in range(2)]
        assert {one["arm"] for one in answers} == {arm_of(f"user:{key}", experiment)}
        assert {one["mode"] for one in answers} == {answers[0]["arm"]}
        arms.add(answers[0]["arm"])
    assert arms == {"fused", "keyword"}
    last = answers[0]
    hit = last["hits"][2]
    click = {"search_id": last["search_id"], "id": hit["id"], "rank": hit["rank"]}
    # As navigator.sendBeacon of the page does.
    told = httpx.post(
        f"{gateway.url}/click", content=json.dumps(click), headers={"Content-Type": "text/plain"}
    )
    assert told.status_code == 204
    wait_until("the click's line", lambda: bool(events(gateway, last["search_id"], "click")))
    (shown,) = events(gateway, last["search_id"], "exposure")
    assert (shown["experiment"], shown["arm"], shown["mode"]) == ("both", last["arm"], last["mode"])
    assert shown["hits"] == [one["id"] for one in last["hits"]]
    assert 0 <= shown["bucket"] < 4096
    assert (shown["policy"], shown["filtered"], shown["cohort"]) == (last["policy"], False, None)
    (clicked,) = events(gateway, last["search_id"], "click")
    assert (clicked["id"], clicked["rank"]) == (hit["id"], 3)
    # Whoever names a mode is not the experiment's.
    own = asked(gateway, "耳机", {"X-User-Key": "someone-1"}, mode="fused", category="数码")
    wait_until("its line", lambda: bool(events(gateway, own["search_id"], "exposure")))
    (line,) = events(gateway, own["search_id"], "exposure")
    assert (line["arm"], line["mode"], line["filtered"]) == (None, "fused", True)
    assert "someone" not in gateway.log()


def test_a_re_ranker_orders_what_asks_for_it_and_gives_way(
    gateway: GatewayProcess,
    policy: Any,
    tiny_encoder: WeightsFolder,
    tiny_reranker: TinyReranker,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    assert asked(gateway, "耳机", rerank="true")["reranked"] is False
    settings = {"RERANKER_DIR": tiny_reranker.path, "RERANKER_WEIGHTS": tiny_reranker.weights}
    with EncoderServer(tiny_encoder, tmp_path_factory.mktemp("reranker"), **settings) as server:
        policy(
            reranker=RerankerPolicy(
                url=server.url, candidates=20, results=5, max_share=1.0, timeout_ms=30_000.0
            )
        )
        plain = asked(gateway, "耳机", k=20)
        assert plain["reranked"] is False
        ranked = asked(gateway, "耳机", k=20, rerank="true")
        assert ranked["reranked"] is True
        assert ranked["timings_ms"]["rerank"] > 0
        assert {hit["id"] for hit in ranked["hits"]} == {hit["id"] for hit in plain["hits"]}
        scores = [hit["scores"]["rerank"] for hit in ranked["hits"]]
        assert scores[:5] == sorted(scores, reverse=True)[:5]
        assert [hit["rank"] for hit in ranked["hits"]] == list(range(1, 21))
        # The next page goes on where this one ends.
        pages = [asked(gateway, "耳机", k=10, offset=offset, rerank="true") for offset in (0, 10)]
        assert [hit["id"] for page in pages for hit in page["hits"]] == [hit["id"] for hit in ranked["hits"]]
    gone = asked(gateway, "耳机", k=20, rerank="true")
    assert (gone["reranked"], gone["degraded"], gone["total"]) == (False, [], 20)
    assert [hit["id"] for hit in gone["hits"]] == [hit["id"] for hit in plain["hits"]]


def test_breakers_are_told(gateway: GatewayProcess) -> None:
    assert gateway.state().breakers == dict.fromkeys(GUARDED, "closed")
    metrics = gateway.metrics()
    assert all(f'gateway_breaker_state{{dependency="{name}"}} 0.0' in metrics for name in GUARDED)


def test_a_switch_unlearns_nothing(shop: Shop, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, **PATIENT) as gateway:
        gateway.serve(shop.blue.snapshot)
        wait_until("the catalogue's words to be learnt", lambda: brands_known(gateway) > 0, LEARNT_SECONDS)
        gateway.announce(shop.blue.snapshot, shop.green.snapshot)
        gateway.mount(shop.green.snapshot.to_json())
        wait_until("the switch", lambda: gateway.state().release == shop.green.snapshot.release)
        wait_until("the release before to be let go", lambda: not gateway.state().leaving)
        assert brands_known(gateway) > 0
        assert gateway.log().count("learnt the catalogue's words") == 1
