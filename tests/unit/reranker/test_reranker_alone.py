"""The re-ranker in a process without an encoder: its routes, its readiness, and what it is told."""

import asyncio
import dataclasses
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from search_plane.encoder.settings import SettingsError
from search_plane.reranker.server import Settings, create_app
from search_plane.reranker.service import LoadedReranker, load

from tests.testbed.weights.tiny_reranker import TinyReranker
from tests.unit.encoder.http_scenario import play
from tests.unit.encoder.runtime_doubles import until
from tests.unit.reranker.broken_session import Broken

QUERY = {"query": "耳机", "texts": ["大米", "蓝牙耳机", "充电器"], "raw_scores": True}


@pytest.fixture
def settings(tiny_reranker: TinyReranker) -> Settings:
    """A pinned artefact, probed often."""
    return Settings(tiny_reranker.path, tiny_reranker.weights, probe_seconds=0.02)


def loaded_from(settings: Settings) -> LoadedReranker:
    loaded = load(settings)
    assert loaded is not None
    return loaded


def app_of(settings: Settings) -> FastAPI:
    return create_app(settings, loaded_from(settings))


def test_pairs_get_the_scores_that_the_artefact_records(settings: Settings) -> None:
    artefact = loaded_from(settings).artefact

    async def scenario(client: httpx.AsyncClient) -> None:
        for (query, text), score in zip(artefact.probe_pairs, artefact.probe_scores, strict=True):
            asked = {"query": query, "texts": [text], "raw_scores": True}
            (one,) = (await client.post("/rerank", json=asked)).raise_for_status().json()
            assert one["score"] == pytest.approx(score, abs=1e-4)
        metrics = (await client.get("/metrics")).text
        assert f'reranker_requests_total{{status="200"}} {len(artefact.probe_pairs):.1f}' in metrics
        assert (await client.get("/info")).json()["artefact"] == settings.reranker_weights
        assert (await client.get("/healthz")).status_code == 200

    play(app_of(settings), scenario)


def test_what_can_not_be_done_in_time_or_read_is_refused(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        refused = await client.post("/rerank", content=b"{")
        assert refused.status_code == 422
        refused = await client.post("/rerank", json=QUERY, headers={"X-Request-Timeout-Ms": "soon"})
        assert (refused.status_code, "X-Request-Timeout-Ms" in refused.json()["error"]) == (422, True)
        assert (await client.post("/embed", json={"inputs": "米"})).status_code == 404

    play(app_of(settings), scenario)


def test_more_than_may_wait_is_refused_at_once(settings: Settings) -> None:
    app = app_of(dataclasses.replace(settings, max_rerank_tokens=200))
    many = {"query": "米", "texts": ["大米"] * 200}

    async def scenario(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/rerank", json=many))
        metrics = app.state.service.reranker.metrics
        await until("the pairs to be in flight", lambda: metrics.inflight_tokens._value.get() > 0)
        refused = await client.post("/rerank", json=QUERY)
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
        assert (await first).status_code == 200

    play(app, scenario)


def test_it_is_unready_while_its_probes_are_wrong_and_while_it_stops(settings: Settings) -> None:
    loaded = loaded_from(settings)
    runtime = Broken(loaded.runtime)
    app = create_app(settings, dataclasses.replace(loaded, runtime=runtime))

    async def scenario(client: httpx.AsyncClient) -> None:
        service = app.state.service
        assert (await client.get("/readyz")).status_code == 200
        runtime.broken = True
        await until("its probes to be wrong", lambda: service.not_ready() is not None)
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.post("/rerank", json=QUERY)).status_code == 424
        runtime.broken = False
        await until("its probes to be right again", lambda: service.not_ready() is None)
        service.draining = True
        assert (await client.get("/readyz")).json()["error"] == "the re-ranker is stopping"
        assert (await client.post("/rerank", json=QUERY)).status_code == 200

    play(app, scenario)


def test_settings_are_read_from_the_environment_and_bad_ones_named() -> None:
    found = Settings.from_env({"RERANKER_DIR": "/reranker", "MAX_RERANK_TOKENS": "64", "DEVICE": "cpu"})
    assert (found.reranker_dir, found.max_rerank_tokens, found.device) == (Path("/reranker"), 64, "cpu")
    for env, named in (
        ({}, "RERANKER_DIR"),
        ({"RERANKER_DIR": "/r", "MAX_RERANK_TOKENS": "few"}, "MAX_RERANK_TOKENS"),
        ({"RERANKER_DIR": "/r", "DEVICE": "tpu"}, "DEVICE"),
    ):
        with pytest.raises(SettingsError, match=named):
            Settings.from_env(env)
