"""POST /rerank over a tiny cross-encoder beside the tiny encoder."""

import asyncio
import dataclasses

import httpx
import numpy as np
import pytest
from search_plane.encoder.routes import create_app
from search_plane.encoder.service import load
from search_plane.encoder.settings import Settings
from search_plane.reranker.artefact import load_reranker
from search_plane.reranker.rerank_request import sigmoid

from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny_reranker import TinyReranker
from tests.unit.encoder.http_scenario import play
from tests.unit.encoder.runtime_doubles import until
from tests.unit.reranker.broken_session import Broken

QUERY = {"query": "耳机", "texts": ["大米", "蓝牙耳机", "充电器"]}


@pytest.fixture
def settings(tiny_encoder: WeightsFolder, tiny_reranker: TinyReranker) -> Settings:
    """An encoder with a re-ranker beside it."""
    return Settings(
        tiny_encoder.identity,
        tiny_encoder.path,
        probe_seconds=0.02,
        reranker_dir=tiny_reranker.path,
        reranker_weights=tiny_reranker.weights,
    )


def test_the_scores_are_the_model_s_own(settings: Settings, tiny_reranker: TinyReranker) -> None:
    artefact = load_reranker(tiny_reranker.path, None)

    async def scenario(client: httpx.AsyncClient) -> None:
        for (query, text), score in zip(artefact.probe_pairs, artefact.probe_scores, strict=True):
            body = {"query": query, "texts": ["大米", text], "raw_scores": True, "return_text": True}
            answer = (await client.post("/rerank", json=body)).raise_for_status().json()
            assert [one["score"] for one in answer] == sorted((one["score"] for one in answer), reverse=True)
            (found,) = (one for one in answer if one["text"] == text or one["index"] == 1)
            assert found["score"] == pytest.approx(score, abs=1e-4)
        raw = (await client.post("/rerank", json={**QUERY, "raw_scores": True})).json()
        told = (await client.post("/rerank", json=QUERY)).json()
        assert [one["index"] for one in raw] == [one["index"] for one in told]
        expected = sigmoid(np.array([one["score"] for one in raw], np.float32))
        np.testing.assert_allclose([one["score"] for one in told], expected, atol=1e-6)

    play(create_app(settings, load(settings)), scenario)


def test_long_texts_are_cut_or_refused_as_asked(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        body = {"query": "米", "texts": ["大米", "米" * 100]}
        assert (await client.post("/rerank", json=body)).status_code == 200
        refused = await client.post("/rerank", json={**body, "truncate": False})
        assert refused.status_code == 413
        assert refused.json()["error"] == '"texts"[1] has with the query more than 48 tokens'

    play(create_app(settings, load(settings)), scenario)


def test_info_and_metrics_tell_of_both_models(settings: Settings, tiny_reranker: TinyReranker) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/rerank", json=QUERY)
        info = (await client.get("/info")).json()
        assert info["reranker"]["artefact"] == tiny_reranker.weights
        assert info["reranker"]["not_ready"] is None
        text = (await client.get("/metrics")).text
        assert 'encoder_rerank_requests_total{status="200"} 1.0' in text
        assert 'encoder_requests_total{status="200"} 0.0' in text
        assert "encoder_rerank_ready 1.0" in text

    play(create_app(settings, load(settings)), scenario)


def test_a_re_ranker_that_goes_bad_takes_itself_out_and_not_the_encoder(settings: Settings) -> None:
    loaded = load(settings)
    assert loaded.reranker is not None
    runtime = Broken(loaded.reranker.runtime)
    reranker = dataclasses.replace(loaded.reranker, runtime=runtime)
    app = create_app(settings, dataclasses.replace(loaded, reranker=reranker))

    async def scenario(client: httpx.AsyncClient) -> None:
        runtime.broken = True
        for says in ("not finite", "the re-ranker is not ready: "):
            failed = await client.post("/rerank", json=QUERY)
            assert (failed.status_code, failed.json()["error_type"]) == (424, "backend")
            assert says in failed.json()["error"]
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.post("/embed", json={"inputs": "米"})).status_code == 200
        runtime.broken = False
        service = app.state.service.reranker
        await until("its probes to be right again", lambda: service.not_ready() is None)
        assert (await client.post("/rerank", json=QUERY)).status_code == 200

    play(app, scenario)


def test_pairs_of_a_client_that_has_gone_are_forgotten(settings: Settings) -> None:
    app = create_app(settings, load(settings))

    async def scenario(client: httpx.AsyncClient) -> None:
        asked = asyncio.create_task(client.post("/rerank", json={"query": "米", "texts": ["大米"] * 200}))
        metrics = app.state.service.metrics.reranking
        await until("the pairs to be in flight", lambda: metrics.inflight_tokens._value.get() > 0)
        asked.cancel()
        await until("nothing to be in flight", lambda: metrics.inflight_tokens._value.get() == 0)
        assert (await client.post("/rerank", json=QUERY)).status_code == 200

    play(app, scenario)
