"""The gateway's client against the real re-ranker process: its route, its order, and its refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from search_plane.gateway.reranking import Reranker, RerankMetrics, reordered
from search_plane.release.policy import RerankerPolicy

from sample_catalogue import generate
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny_reranker import TinyReranker

QUERY = "小米手机充电器"
TEXTS = [product.title for product in generate(120)]


@pytest.fixture(scope="module")
def server(
    tiny_encoder: WeightsFolder, tiny_reranker: TinyReranker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EncoderServer]:
    settings = {"RERANKER_DIR": tiny_reranker.path, "RERANKER_WEIGHTS": tiny_reranker.weights}
    with EncoderServer(tiny_encoder, tmp_path_factory.mktemp("reranker"), **settings) as server:
        yield server


def ask(url: str, texts: list[str], **policy: float) -> tuple[list[float] | None, CollectorRegistry]:
    async def run() -> tuple[list[float] | None, CollectorRegistry]:
        registry = CollectorRegistry()
        made = RerankerPolicy.model_validate({"url": url, "max_share": 1.0, "timeout_ms": 30_000.0} | policy)
        async with aiohttp.ClientSession() as http:
            reranker = Reranker(made, http, RerankMetrics(registry))
            until = asyncio.get_running_loop().time() + 60
            return await reranker.order(QUERY, texts, until), registry

    return asyncio.run(run())


def count(registry: CollectorRegistry, outcome: str) -> float:
    return registry.get_sample_value("gateway_rerank_total", {"outcome": outcome}) or 0.0


def test_the_scores_are_those_of_the_process_text_by_text(server: EncoderServer) -> None:
    scores, registry = ask(server.url, TEXTS)
    assert scores is not None
    assert len(scores) == 100
    assert count(registry, "reranked") == 1
    body = {"query": QUERY, "texts": TEXTS[:100], "raw_scores": True}
    told = httpx.post(f"{server.url}/rerank", json=body, timeout=60).raise_for_status().json()
    expected = {one["index"]: one["score"] for one in told}
    np.testing.assert_allclose(scores, [expected[place] for place in range(100)], atol=1e-4)
    # The ten best first, then the others as they were; and those without a score last.
    ordered = reordered(list(range(120)), scores, 10)
    best = sorted(range(100), key=lambda place: -scores[place])[:10]
    assert ordered == [*best, *(place for place in range(120) if place not in best)]


def test_a_deadline_that_can_t_be_met_leaves_the_order(server: EncoderServer) -> None:
    scores, registry = ask(server.url, TEXTS, timeout_ms=1.0)
    assert scores is None
    assert count(registry, "late") + count(registry, "shed") == 1


def test_an_encoder_without_a_re_ranker_leaves_the_order(
    tiny_encoder: WeightsFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with EncoderServer(tiny_encoder, tmp_path_factory.mktemp("plain")) as plain:
        scores, registry = ask(plain.url, TEXTS)
    assert scores is None
    assert count(registry, "fault") == 1
